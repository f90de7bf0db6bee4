import { assert, assertEquals, assertThrows } from "@std/assert";
import { MigrationError } from "../../migration/error.ts";
import { SectionType } from "../../migration/stream_constants.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { DESCRIPTION, hex, joined, RAM, readWhole, records } from "./streams.ts";

const { QEMU_VM_SECTION_PART: PART, QEMU_VM_SECTION_START: START } = SectionType;
const head = () => new StreamWriter().header("pc");
const withRam = () => head().ramStart(RAM, [{ name: "r", usedLength: 8192 }]);

Deno.test("readStream() finds every record of a stream, however it is cut", () => {
  const bytes = joined(records());
  const whole = readWhole(bytes);
  assertEquals({ ...whole, devices: whole.devices.map((d) => [d.idstr, d.length]) }, {
    bytes: bytes.length,
    machine: "pc-i440fx-7.2",
    pageSize: 4096,
    capabilities: [],
    blocks: [{ name: "pc.ram", usedLength: 65536 }, { name: "vga", usedLength: 4096 }],
    pages: { normal: 3, zero: 3, xbzrle: 1, compressed: 1 },
    ramParts: 2,
    devices: [["early", 2], ["cpu", 17], ["empty", 0]],
    commands: ["OPEN_RETURN_PATH", "PING"],
    returnPath: true,
    vmdescription: JSON.stringify(DESCRIPTION).length,
    validation: { kind: "sections", devices: 3 },
  });
  for (const step of [1, 2, 3, 5, 7, 64, 1000, 4096, 4103]) {
    assertEquals(readWhole(bytes, step), whole, `chunks of ${step}`);
  }
});

Deno.test("readStream() tells of commands as they come", () => {
  const seen: unknown[] = [];
  readWhole(joined(records()), 9, { onCommand: (command) => seen.push(command) });
  assertEquals(seen, [
    { name: "OPEN_RETURN_PATH", length: 0 },
    { name: "PING", length: 4, value: 1 },
  ]);
});

Deno.test("readStream() ignores what stands behind the end marker and does not count it", () => {
  const bytes = joined(records());
  const reader = readStream();
  reader.push(joined([bytes, hex("ffffffffff")]));
  assert(reader.complete);
  reader.push(hex("0102"));
  assertEquals(reader.bytes, bytes.length);
  assertEquals(reader.end().bytes, bytes.length);
});

Deno.test("readStream() reads each subsection of the configuration", () => {
  const sub = (name: string) =>
    new StreamWriter().u8(SectionType.QEMU_VM_SUBSECTION).countedString(name).u32(1);
  const bytes = head()
    .bytes(sub("configuration/target-page-bits").u32(16).finish())
    .bytes(
      sub("configuration/capabilities").u32(1).countedString("x-ignore-shared").finish(),
    )
    .bytes(sub("configuration/uuid").bytes(hex("00112233445566778899aabbccddeeff")).finish())
    .sectionHead(START, { sectionId: RAM, idstr: "ram", versionId: 4 })
    .u64(0x20000 + 4).countedString("mem").u64(0x20000).u64(0x40000000)
    .endOfRam(RAM)
    .ramPart(PART, RAM).page(0x10000, new Uint8Array(65536), "mem").endOfRam(RAM)
    .end({ page_size: 65536, devices: [] }).finish();
  for (const step of [bytes.length, 1]) {
    const summary = readWhole(bytes, step);
    assertEquals(summary.pageSize, 65536);
    assertEquals(summary.capabilities, ["x-ignore-shared"]);
    assertEquals(summary.uuid, "00112233-4455-6677-8899-aabbccddeeff");
    assertEquals(summary.blocks, [{ name: "mem", usedLength: 0x20000 }]);
    assertEquals(summary.pages.normal, 1);
  }
});

Deno.test("readStream() tells a huge page size from the next block and from the end of the list", () => {
  const bytes = head().command("OPEN_RETURN_PATH")
    .command("POSTCOPY_ADVISE", hex("0000000000201000 0000000000001000"))
    .ramStart(RAM, [
      { name: "huge", usedLength: 2 ** 21, pageSize: 2 ** 21 },
      { name: "small", usedLength: 4096 },
      { name: "last", usedLength: 2 ** 22, pageSize: 2 ** 21 },
    ]).end({ devices: [] }).finish();
  for (const step of [bytes.length, 1]) {
    assertEquals(readWhole(bytes, step).blocks, [
      { name: "huge", usedLength: 2 ** 21, pageSize: 2 ** 21 },
      { name: "small", usedLength: 4096 },
      { name: "last", usedLength: 2 ** 22, pageSize: 2 ** 21 },
    ]);
  }
});

Deno.test("readStream() keeps what cannot be walked, up to its description", () => {
  const end = new StreamWriter().end({ page_size: 4096, devices: [{ odd: true }] }).finish();
  const cases: [string, Uint8Array][] = [
    [
      "the format of section 'dirty-bitmap' is its device's own",
      head().sectionHead(START, { sectionId: 9, idstr: "dirty-bitmap" })
        .bytes(hex("7b22 00 06 7b22 00060000000a7b22 0006ffffffff7b22")).finish(),
    ],
    [
      "its machine type is older than 2.4",
      new StreamWriter().header().sectionHead(START, { sectionId: RAM, idstr: "ram", versionId: 4 })
        .u64(4096 + 4).countedString("r").u64(4096).u64(0x10)
        .ramPart(PART, RAM).zeroPage(0, "r").u64(0x10)
        .ramPart(SectionType.QEMU_VM_SECTION_END, RAM).u64(0x10).bytes(hex("04deadbeef")).finish(),
    ],
  ];
  for (const [cause, start] of cases) {
    const bytes = joined([start, end]);
    for (const step of [bytes.length, 1, 3, 8]) {
      const summary = readWhole(bytes, step);
      assertEquals(summary.validation, { kind: "end", cause });
      assertEquals(summary.bytes, bytes.length);
    }
    const error = assertThrows(() => readWhole(start), MigrationError);
    assertEquals(error.code, "STREAM_END_UNKNOWN");
  }
});

Deno.test("readStream() gives up on a stream full of false descriptions", () => {
  const fake = hex("0006 00000100 7b22");
  const bytes = joined([
    head().sectionHead(START, { sectionId: 9, idstr: "vfio" }).finish(),
    ...Array.from({ length: 200 }, () => fake),
  ]);
  assertEquals(assertThrows(() => readWhole(bytes), MigrationError).code, "STREAM_END_UNKNOWN");
});

Deno.test("readStream() reports a description that says other than the stream", () => {
  const parts = records();
  const cases: [string, (devices: Record<string, unknown>[]) => unknown][] = [
    ["lists 2 devices, the stream has 3", (d) => d.slice(1)],
    ["'cpu' 0, the description has another", (d) => [d[0], { ...d[1], name: "CPU" }, d[2]]],
    ["'early' 7, the description has", (d) => [{ ...d[0], instance_id: 0 }, d[1], d[2]]],
    ["'early' has 2 bytes, the description says 3", (d) => [
      { ...d[0], fields: [{ size: 3 }] },
      d[1],
      d[2],
    ]],
    [
      "'early' has 2 bytes, the description gives no",
      (d) => [{ ...d[0], fields: [1] }, d[1], d[2]],
    ],
    ["device 0 of the description is not", () => [1, 2, 3]],
    ["lists no devices", () => "many"],
  ];
  for (const [cause, change] of cases) {
    const end = new StreamWriter().end({ devices: change(DESCRIPTION.devices) }).finish();
    const { validation } = readWhole(joined([...parts.slice(0, -1), end]));
    assert(validation?.kind === "mismatch", cause);
    assert(validation.cause.includes(cause), validation.cause);
  }
  const junk = new StreamWriter().u8(0).u8(6).u32(2).bytes(hex("7b7d")).finish();
  assertEquals(readWhole(joined([...parts.slice(0, -1), junk])).validation?.kind, "mismatch");
});

Deno.test("readStream() refuses a description whose subsections nest without end", () => {
  let nested = `{"vmsd_name":"x","subsections":[]}`;
  for (let i = 0; i < 5000; i++) nested = `{"vmsd_name":"x","subsections":[${nested}]}`;
  const json = new TextEncoder().encode(
    `{"devices":[{"name":"d","instance_id":0,"fields":[],"subsections":[${nested}]}]}`,
  );
  const bytes = head().device({ sectionId: 1, idstr: "d" }, hex("00"))
    .u8(0).u8(6).u32(json.length).bytes(json).finish();
  assertEquals(readWhole(bytes).validation, {
    kind: "mismatch",
    cause: "section 'd' has 1 bytes, the description gives no size",
  });
});

Deno.test("readStream() refuses a device of more than 64 MiB and holds no more of it", () => {
  const reader = readStream();
  reader.push(
    head().sectionHead(SectionType.QEMU_VM_SECTION_FULL, { sectionId: 1, idstr: "d" })
      .finish(),
  );
  const chunk = new Uint8Array(4 * 1024 * 1024);
  let pushed = 0;
  const error = assertThrows(
    () => {
      for (; pushed < 100; pushed++) reader.push(chunk);
    },
    MigrationError,
    "a device section has more than 67108864 bytes",
  );
  assertEquals(error.code, "STREAM_LIMIT");
  assert(pushed < 20);
});

Deno.test("readStream() passes over a footer inside a device that is followed by no record", () => {
  const followers = [
    "00 00",
    "00 06 ff000000 7b",
    "00 06 00000002 5b",
    "04 00000001 01 61",
    "04 ff000002 01 61",
    "04 00000002 00",
    "04 00000002 02 6107",
    "04 00000002 01 61 00000000 00010000",
    "02 00000003",
    "03 00000000",
    "08 0002 0005",
    "08 0063 0000",
    "08 0003 0008",
    "05 00",
    "7e 00",
  ];
  const payload = joined(followers.map((f) => hex(`7e00000001 ${f} 99`)));
  const bytes = withRam().device({ sectionId: 1, idstr: "d" }, payload)
    .end({ devices: [{ name: "d", instance_id: 0, fields: [{ size: payload.length }] }] }).finish();
  for (const step of [bytes.length, 1, 2, 11]) {
    assertEquals(readWhole(bytes, step).validation, { kind: "sections", devices: 1 });
  }
});

Deno.test("readStream() finds a device's end before each record that may follow", () => {
  const device = (w: StreamWriter) => w.device({ sectionId: 1, idstr: "d" }, hex("0102"));
  const described = (n: number) =>
    Array.from({ length: n }, (_, i) => ({
      name: i === 0 ? "d" : "e",
      instance_id: i === 0 ? 0 : 0x71000000,
      fields: [{ size: 2 }],
    }));
  const other = { sectionId: 4, idstr: "e", instanceId: 0x71000000, versionId: 3 };
  const cases: [string, Uint8Array][] = [
    ["FULL", device(withRam()).device(other, hex("0304")).end({ devices: described(2) }).finish()],
    ["START", device(head()).ramStart(RAM, []).end({ devices: described(1) }).finish()],
    [
      "PART",
      device(withRam()).ramPart(PART, RAM).endOfRam(RAM).end({ devices: described(1) })
        .finish(),
    ],
    [
      "END",
      device(withRam()).ramPart(3, RAM).endOfRam(RAM).end({ devices: described(1) })
        .finish(),
    ],
    [
      "COMMAND",
      device(withRam()).command("SWITCHOVER_START").end({ devices: described(1) })
        .finish(),
    ],
    ["EOF", device(withRam()).end({ devices: described(1) }).finish()],
  ];
  for (const [what, bytes] of cases) {
    for (const step of [bytes.length, 1]) {
      assertEquals(readWhole(bytes, step).validation?.kind, "sections", what);
    }
  }
});
