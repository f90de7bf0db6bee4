import { assertEquals } from "@std/assert";
import { HMP_LINES, QMP_LINES } from "../monitor/lines.ts";
import { sampleMonitor, serveForTest, talkQmp, typeHmp } from "../monitor/talk.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

programTest(
  "QMP answers byte for byte as QEMU does, whatever is sent",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const path = `${temp.path}/qmp`;
    await using _qemu = await startQemu({
      args: ["-S", "-qmp", `unix:${path},server=on,wait=off`],
    });
    await using ours = await serveForTest("qmp", sampleMonitor());
    const [theirs, own] = await Promise.all([
      talkQmp(path, QMP_LINES),
      talkQmp(ours.path, QMP_LINES),
    ]);
    // The greeting names the program, and ours offers nothing out of band.
    assertEquals(own.slice(1), theirs.slice(1));
    const greeting = JSON.parse(own[0]!);
    assertEquals(greeting.QMP.capabilities, []);
    assertEquals(greeting.QMP.version.qemu.major, 7);
  },
);

programTest(
  "the human monitor draws the same on a terminal as QEMU's, key by key",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const path = `${temp.path}/hmp`;
    const args = ["-S", "-monitor", `unix:${path},server=on,wait=off`];
    await using _qemu = await startQemu({ args });
    const noHelp = { help: "", run: () => {} };
    await using ours = await serveForTest(
      "hmp",
      // What QEMU has beside ours, as far as completion sees it.
      sampleMonitor({
        hmp: ["info stats", "info migrate", "info migrate_capabilities", "info migrate_parameters"]
          .map((name) => ({ name, ...noHelp })),
      }),
    );
    const [theirs, own] = await Promise.all([
      typeHmp(path, HMP_LINES),
      typeHmp(ours.path, HMP_LINES),
    ]);
    const withoutBanner = (text: string) => text.slice(text.indexOf("\r\n"));
    assertEquals(withoutBanner(own).split("(qemu) "), withoutBanner(theirs).split("(qemu) "));
  },
);
