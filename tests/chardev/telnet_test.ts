import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  ANNOUNCEMENT,
  escapeTelnet,
  startTelnet,
  telnetFilter,
  type TelnetFlavour,
} from "../../chardev/mod.ts";
import { oneByte, pair, readExactly } from "../support/channels.ts";
import { watchMemory } from "../support/memory.ts";
import { soakCount, soakRow } from "../support/soak.ts";

function filtered(flavour: TelnetFlavour, chunks: readonly number[][]): [number[], number] {
  let breaks = 0;
  const filter = telnetFilter(flavour, () => breaks++);
  const out: number[] = [];
  for (const chunk of chunks) {
    const to = new Uint8Array(chunk.length + 1);
    out.push(...to.subarray(0, filter(Uint8Array.from(chunk), to)));
  }
  return [out, breaks];
}

Deno.test("telnetFilter() takes commands out as QEMU does, wherever they are cut", () => {
  const cases: [TelnetFlavour, number[], number[], number][] = [
    ["telnet", [0x61, 0xff, 0xff, 0x62], [0x61, 0xff, 0x62], 0],
    ["telnet", [0x61, 0xff, 0xf3, 0x62], [0x61, 0x62], 1],
    ["telnet", [0xff, 0xfb, 0x01, 0x61, 0xff, 0xfd, 0xff, 0x62], [0x61, 0x62], 0],
    // Two bytes for RFC 854, three for QEMU.
    ["telnet", [0xff, 0xf1, 0x61, 0x62], [0x62], 0],
    ["telnet", [0xff, 0xef, 0x61, 0x62], [0x62], 0],
    ["tn3270", [0x61, 0xff, 0xef, 0x62], [0x61, 0xff, 0xef, 0x62], 0],
    ["tn3270", [0xff, 0xfa, 0x18, 0, 0xff, 0xf0], [0xff, 0xfa, 0x18, 0, 0xff, 0xf0], 0],
    ["tn3270", [0xff, 0xf1, 0x61, 0xff, 0xf4, 0x62], [0x61, 0x62], 0],
    ["tn3270", [0xff, 0xfb, 0x19, 0x61], [0x61], 0],
  ];
  for (const [flavour, bytes, expected, breaks] of cases) {
    assertEquals(filtered(flavour, [bytes]), [expected, breaks]);
    assertEquals(filtered(flavour, bytes.map((byte) => [byte])), [expected, breaks]);
  }
});

Deno.test("telnetFilter() gives back what escapeTelnet() made of any bytes, cut anywhere", () => {
  const runs = soakCount(10_000);
  const memory = watchMemory(runs);
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constant(0xff), fc.constant(0xf3), fc.nat(255)), { maxLength: 40 }),
      fc.array(fc.nat(9), { maxLength: 20 }),
      (data, sizes) => {
        memory.turn();
        const sent = [...escapeTelnet(Uint8Array.from(data))];
        const chunks: number[][] = sizes.map((size) => sent.splice(0, size));
        assertEquals(filtered("telnet", [...chunks, sent]), [data, 0]);
      },
    ),
    { numRuns: runs },
  );
  soakRow("telnet bytes through the filter", runs, `all came back; ${memory.flat()}`);
});

Deno.test("telnetFilter() takes any bytes, the same whether they are cut or not", () => {
  const runs = soakCount(10_000);
  const memory = watchMemory(runs);
  fc.assert(
    fc.property(
      fc.constantFrom<TelnetFlavour>("telnet", "tn3270"),
      fc.array(fc.oneof(fc.constant(0xff), fc.integer({ min: 0xef, max: 0xfe }), fc.nat(255))),
      fc.nat(9),
      (flavour, data, size) => {
        memory.turn();
        const chunks: number[][] = [];
        for (let i = 0; i < data.length; i += size + 1) chunks.push(data.slice(i, i + size + 1));
        const whole = filtered(flavour, [data]);
        assertEquals(filtered(flavour, chunks), whole);
        assert(whole[0].length <= data.length);
      },
    ),
    { numRuns: runs },
  );
  soakRow("mutated telnet streams", runs, `the same however cut; ${memory.flat()}`);
});

Deno.test("startTelnet() announces itself, passes any bytes and breaks between two of ours", async () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const cut of [false, true]) {
    const [a, b] = pair();
    const here = await startTelnet(cut ? oneByte(a) : a, "telnet");
    const there = await startTelnet(b, "telnet");
    let breaks = 0;
    here.onBreak = () => breaks++;
    await there.write(all);
    await there.sendBreak?.();
    await there.write(Uint8Array.of(7));
    assertEquals(await readExactly(here, 257), Uint8Array.of(...all, 7));
    assertEquals(breaks, 1);
  }
});

Deno.test("startTelnet() reads tn3270 records into a buffer of one byte", async () => {
  const [a, b] = pair();
  await startTelnet(a, "tn3270");
  const announced = await readExactly(b, ANNOUNCEMENT.tn3270.length);
  assertEquals(announced, ANNOUNCEMENT.tn3270);
  const here = await startTelnet(b, "tn3270");
  await a.write(Uint8Array.of(1, 0xff, 0xef, 2));
  const got: number[] = [];
  const into = new Uint8Array(1);
  while (got.length < 4) {
    assertEquals(await here.read(into), 1);
    got.push(into[0]!);
  }
  assertEquals(got, [1, 0xff, 0xef, 2]);
});
