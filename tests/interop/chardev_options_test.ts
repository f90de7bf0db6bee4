import { assertEquals } from "@std/assert";
import { REFUSED_BY_QEMU, TAKEN_BY_QEMU } from "../chardev/option_rows.ts";
import { programTest } from "../support/programs.ts";
import { makePki } from "../support/pki.ts";
import { type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

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
      args: [
        ...["-object", `tls-creds-x509,id=server0,dir=${dir},endpoint=server`],
        ...["-object", `tls-creds-x509,id=client0,dir=${dir},endpoint=client`],
      ],
    });
    for (const [text, message] of REFUSED_BY_QEMU) {
      // In a monitor, a descriptor has a name where it has a number on the command line.
      if (message === "Unable to parse FD number ") continue;
      assertEquals((await ask(qemu, text)).message, message, text);
    }
    for (const [text, ...warnings] of TAKEN_BY_QEMU) {
      assertEquals(await ask(qemu, text), { message: "", warnings }, text);
    }
  },
);
