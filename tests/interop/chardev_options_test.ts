import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { VirtcredsError } from "../../base/mod.ts";
import { ChardevError, parseChardev, parseSocketChardev, planTls } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import {
  REFUSED_BY_QEMU,
  REFUSED_SERIALS,
  REFUSED_WITH_OBJECTS,
  TAKEN_BY_QEMU,
} from "../chardev/option_rows.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { makePki } from "../support/pki.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

function objectOptions(dir: string): string[] {
  return [
    `tls-creds-x509,id=server0,dir=${dir},endpoint=server`,
    `tls-creds-x509,id=client0,dir=${dir},endpoint=client`,
    "authz-simple,id=az0,identity=x",
  ];
}

/** What QEMU's own parser says of an option text; an empty message where it takes it. */
async function ask(qemu: Qemu, text: string): Promise<{ message: string; warnings: string[] }> {
  // A device with mux=on cannot be removed, so each has an id of its own.
  const own = `c0x${crypto.randomUUID().slice(0, 8)}`;
  const answer = await qemu.qmp.execute("human-monitor-command", {
    "command-line": `chardev-add ${text.replace(/(^|,)id=c0(?=,|$)/, `$1id=${own}`)}`,
  }) as string;
  const said = answer.replaceAll(own, "c0");
  const lines = said.split("\r\n").filter((line) => line !== "" && !line.startsWith("Please use"));
  const warnings = lines.filter((line) => line.startsWith("warning: "));
  const [first = "", last] = lines.filter((line) => !line.startsWith("warning: "));
  const given = /(?:^|,)id=([^,]+)/.exec(text)?.[1];
  if (first === "" && !text.includes("mux")) {
    await qemu.qmp.execute("chardev-remove", { id: given === "c0" ? own : given });
  }
  return {
    // What its parser refuses is told in a line of its own, what its checks refuse as an error.
    message: last === undefined ? first.replace(/^Error: /, "") : first,
    warnings: warnings.map((line) => line.replace("warning: ", "")),
  };
}

programTest(
  "QEMU says of each option text what parseSocketChardev() is tested to say",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "localhost" }] });
    const dir = pki.host("localhost");
    await using qemu = await startQemu({
      machine: "none",
      args: objectOptions(dir).flatMap((option) => ["-object", option]),
    });
    for (const [text, message] of REFUSED_BY_QEMU) {
      // In a monitor, a descriptor has a name where it has a number on the command line.
      if (message.startsWith("Unable to parse FD number ")) continue;
      assertEquals((await ask(qemu, text)).message, message, text);
    }
    // What depends on the objects there are is not the parser's, and has the same words too.
    using objects = new ObjectRegistry({ engine: await chooseEngine() });
    for (const option of objectOptions(dir)) await objects.add(option);
    for (const creds of ["nope", "az0", "client0"]) {
      const text = `socket,id=c0,host=127.0.0.1,port=0,server=on,wait=off,tls-creds=${creds}`;
      const error = assertThrows(() => planTls(parseSocketChardev(text), objects), Error);
      assertEquals((await ask(qemu, text)).message, error.message, text);
    }
    for (const [text, message] of REFUSED_WITH_OBJECTS) {
      const error = assertThrows(() => planTls(parseSocketChardev(text), objects), Error, "", text);
      assertEquals([error.message, (await ask(qemu, text)).message], [message, message], text);
    }
    // Nobody listens on the port of tcpmux; QEMU knows its number where this machine does.
    const named = "socket,id=c0,host=127.0.0.1,port=tcpmux";
    const { message } = await ask(qemu, named);
    const isKnown = message === "Failed to connect to '127.0.0.1:tcpmux': Connection refused";
    assertEquals(saidOf(named)?.message, isKnown ? undefined : message);
    for (const [text, ...warnings] of TAKEN_BY_QEMU) {
      assertEquals(await ask(qemu, text), { message: "", warnings }, text);
    }
  },
);

programTest(
  "QEMU says of each old form what parseLegacy() is tested to say",
  ["qemu-system-x86_64"],
  async () => {
    for (const [text, message] of REFUSED_SERIALS) {
      // deno-fmt-ignore
      const { code, stderr } = await run("qemu-system-x86_64", [
        "-machine", "isapc", "-m", "2M", "-S", "-nodefaults", "-display", "none", "-serial", text,
      ]);
      const failed = `could not connect serial device to character backend '${text}'`;
      const lines = (message === undefined ? [failed] : [message, failed])
        .map((line) => `qemu-system-x86_64: -serial ${text}: ${line}\n`);
      assertEquals([code, stderr], [1, lines.join("")], text);
    }
  },
);

/** What QEMU says once the options are right and it tries to open what they name. */
const BEYOND_OPTIONS =
  /^$|^(Failed to |Could not open|Unable to |address resolution failed|File descriptor named|Path .* is too long|UNIX socket path|No TLS credentials|invalid Unix socket address|Expected TLS)/;

programTest(
  "QEMU and parseChardev() say the same of random option texts",
  ["qemu-system-x86_64"],
  async () => {
    await using qemu = await startQemu({ machine: "none" });
    // A server that waits for its client would hold its monitor up, so each has wait=off.
    const backends = fc.constantFrom(
      ..."socket socket socket file pipe null ringbuf memory bogus backend=null foo=1".split(" "),
    );
    const options = fc.constantFrom(
      ..."host=127.0.0.1 port=0 port=1 host= path=/nowhere/s fd=x server=off server=on,wait=off"
        .split(" "),
      ..."server=maybe wait=off wait=x to=x to=5 ipv4=off ipv6=off ipv4 delay nodelay=on".split(
        " ",
      ),
      ..."reconnect=1 reconnect=x reconnect=08 reconnect=99999999999999999999 telnet=on tn3270"
        .split(" "),
      ..."websocket=on websocket nowebsocket mux=on mux logfile=/dev/null logappend=on".split(" "),
      ..."tls-authz=a size=3 size=4k size=-1 size=1.5k size=x width=3 width=x signal=on".split(" "),
      ..."append=on append=1 bogus bogus=1 =x id=0 id=c1 Server=on noserver,wait=off".split(" "),
    );
    const texts = fc.tuple(backends, fc.array(options, { maxLength: 6 })).map(([backend, more]) =>
      [backend, "id=c0", ...more].join(",")
    ).filter((text) => !/server=on(?!,wait=off)|,wait=off.*(wait=on)/.test(text));
    const runs = soakCount(10_000);
    let same = 0;
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const { message } = await ask(qemu, text);
        const ours = saidOf(text);
        if (ours instanceof ChardevError && ours.code === "UNSUPPORTED") return;
        // A descriptor has a number on a command line and a name in a monitor.
        if (ours?.message.startsWith("Unable to parse FD number ")) {
          assertMatch(message, BEYOND_OPTIONS, text);
        } else if (BEYOND_OPTIONS.test(message)) assertEquals(ours?.message, undefined, text);
        else assertEquals(ours?.message, message, text);
        same++;
      }),
      { numRuns: runs },
    );
    soakRow(
      "random --chardev texts against QEMU's parser",
      runs,
      `${same} the same verdict and words`,
    );
  },
);

function saidOf(text: string): VirtcredsError | undefined {
  try {
    parseChardev(text);
    return undefined;
  } catch (error) {
    if (error instanceof VirtcredsError) return error;
    throw error;
  }
}
