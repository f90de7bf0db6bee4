import { assertEquals } from "@std/assert";
import { makeMux, muxChannel } from "../../chardev/mod.ts";
import { pair, readToEnd } from "../support/channels.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (data: Uint8Array) => new TextDecoder().decode(data);

/** Types pieces into a device and gives what came of them. */
function typed(pieces: readonly string[], escape?: number) {
  const log = { data: "", monitor: "", printed: "", breaks: 0, quits: 0, focused: 0 };
  const mux = makeMux(
    {
      ...(escape === undefined ? {} : { escape }),
      onBreak: () => log.breaks++,
      onQuit: () => log.quits++,
      monitor: () => ({
        type: (data) => log.monitor += text(data),
        focus: () => log.focused++,
      }),
    },
    (shown) => log.printed += shown,
  );
  for (const piece of pieces) log.data += text(mux.input(bytes(piece)));
  return log;
}

Deno.test("makeMux() does what the keys behind Ctrl-A say, wherever they are cut", () => {
  const none = { data: "", monitor: "", printed: "", breaks: 0, quits: 0, focused: 0 };
  const cases: [string, Partial<typeof none>][] = [
    ["hello", { data: "hello" }],
    ["a\x01\x01b", { data: "a\x01b" }],
    ["a\x01bb", { data: "ab", breaks: 1 }],
    ["a\x01cto the monitor\x01cback", { data: "aback", monitor: "to the monitor", focused: 1 }],
    ["\x01cx\x01\x01y", { monitor: "x\x01y", focused: 1 }],
    ["\x01x", { quits: 1, printed: "virtcreds: Terminated\n\r" }],
    ["\x01zq", { data: "q" }],
    ["\x01sq", { data: "q" }],
  ];
  for (const [keys, expected] of cases) {
    assertEquals(typed([keys]), { ...none, ...expected }, JSON.stringify(keys));
    assertEquals(typed([...keys]), { ...none, ...expected }, JSON.stringify(keys));
  }
  assertEquals(typed(["\x02b\x01"], 2), { ...none, breaks: 1, data: "\x01" });
});

Deno.test("makeMux() stamps lines from the first one after Ctrl-A t", () => {
  let now = 1000;
  const mux = makeMux({}, () => {}, () => now);
  assertEquals(text(mux.output(bytes("before\n"))), "before\n");
  mux.input(bytes("\x01t"));
  assertEquals(text(mux.output(bytes("rest\nfirst"))), "rest\n[00:00:00.000] first");
  now += 3_723_045;
  assertEquals(text(mux.output(bytes("\nlast"))), "\n[01:02:03.045] last");
  mux.input(bytes("\x01t"));
  assertEquals(text(mux.output(bytes("\nx\n"))), "\nx\n");
});

Deno.test("muxChannel() ends the connection at Ctrl-A x, with a word", async () => {
  const [a, b] = pair();
  const device = muxChannel(a);
  await b.write(bytes("data\x01xnever"));
  const got = await device.read(new Uint8Array(100));
  assertEquals(got, 4);
  assertEquals(await device.read(new Uint8Array(100)), null);
  device.close();
  assertEquals(text(await readToEnd(b)), "virtcreds: Terminated\n\r");
});
