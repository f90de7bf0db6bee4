import { assertEquals } from "@std/assert";
import { qmpCommand, refused } from "../../monitor/mod.ts";
import { HMP_LINES, OOB_LINES, QMP_LINES } from "../monitor/lines.ts";
import { sampleMonitor, serveForTest, talkQmp, talkTo, typeHmp } from "../monitor/talk.ts";
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
    // The greeting names the program.
    assertEquals(own.slice(1), theirs.slice(1));
    const greeting = JSON.parse(own[0]!);
    assertEquals(greeting.QMP.capabilities, JSON.parse(theirs[0]!).QMP.capabilities);
    assertEquals(greeting.QMP.version.qemu.major, 7);
  },
);

programTest(
  "QMP answers out of band byte for byte as QEMU does, once that is enabled",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const path = `${temp.path}/qmp`;
    await using _qemu = await startQemu({
      args: ["-S", "-qmp", `unix:${path},server=on,wait=off`],
    });
    const pause = qmpCommand({
      name: "migrate-pause",
      oob: true,
      run: () => {
        throw refused("migrate-pause is currently only supported during postcopy-active state");
      },
    });
    await using ours = await serveForTest("qmp", sampleMonitor({ qmp: [pause] }));
    const enable = (word: string) =>
      `{"execute":"qmp_capabilities","arguments":{"enable":["${word}"]}}`;
    const lines = [enable("foo"), enable("oob"), ...OOB_LINES, '{"execute":"quit"}'];
    const talk = async (path: string) =>
      (await talkTo(path, lines.map((line) => `${line}\n`).join(""))).split("\r\n")
        // Behind the greeting one answer a line; what a QEMU says as it quits is its own. Its threads
        // do not agree on which answer goes first.
        .slice(1, lines.length).sort();
    assertEquals(await talk(ours.path), await talk(path));
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
