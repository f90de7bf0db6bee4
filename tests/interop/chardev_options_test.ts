import { assertEquals, assertThrows } from "@std/assert";
import { parseSocketChardev, planTls } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { REFUSED_BY_QEMU, TAKEN_BY_QEMU } from "../chardev/option_rows.ts";
import { programTest } from "../support/programs.ts";
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
  const said = await qemu.qmp.execute("human-monitor-command", {
    "command-line": `chardev-add ${text}`,
  }) as string;
  const lines = said.split("\r\n").filter((line) => line !== "" && !line.startsWith("Please use"));
  const warnings = lines.filter((line) => line.startsWith("warning: "));
  const [first = "", last] = lines.filter((line) => !line.startsWith("warning: "));
  const id = /(?:^|,)id=([^,]+)/.exec(text)?.[1];
  if (first === "") await qemu.qmp.execute("chardev-remove", { id });
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
      if (message === "Unable to parse FD number ") continue;
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
    for (const [text, ...warnings] of TAKEN_BY_QEMU) {
      assertEquals(await ask(qemu, text), { message: "", warnings }, text);
    }
  },
);
