import { assertEquals, assertStringIncludes } from "@std/assert";
import { start, startProgram } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { programTest } from "../support/programs.ts";

const RUN = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ${PROJECT}/chardev`;

/** Runs a command on a terminal, plays its user, and gives what was shown. */
async function onTerminal(
  command: string,
  play: (terminal: ReturnType<typeof start>) => Promise<void>,
): Promise<string> {
  const script = `echo before $(stty -g); ${command}; echo code $?; echo after $(stty -g)`;
  await using terminal = start("script", ["-qfec", `bash -c '${script}'`, "/dev/null"]);
  await play(terminal);
  await terminal.untilOut("after ");
  await terminal.exit;
  const output = terminal.stdout();
  const [before, after] = ["before", "after"].map((word) =>
    new RegExp(`${word} (\\S+)`).exec(output)?.[1]
  );
  assertEquals(after, before, output);
  assertStringIncludes(output, "virtcreds: Terminated");
  assertEquals(/code (\d+)/.exec(output)?.[1], "0", output);
  return output;
}

programTest(
  "Ctrl-A x ends a console that its peer keeps busy, and puts the terminal back",
  ["script", "stty"],
  async () => {
    await using busy = startProgram("chardev/server.ts", [
      ...["--serve", "--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
      ...["--backend", "exec:while sleep 0.05; do echo busy; done"],
    ]);
    const [, port] = await busy.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    for (const backend of ["stdio,mux=on", "mon:stdio"]) {
      const client = `${RUN}/client.ts --serial tcp:127.0.0.1:${port} --backend ${backend}`;
      await onTerminal(client, async (terminal) => {
        await terminal.untilOut("busy");
        await terminal.type("\x01x");
      });
    }
  },
);

programTest(
  "the keys behind Ctrl-A work while a console waits for its first client",
  ["script", "stty"],
  async () => {
    for (
      const [backend, end] of [["stdio,mux=on", "\x01x"], ["mon:stdio", "typed before\x01x"]]
    ) {
      const server = `${RUN}/server.ts --serial tcp:127.0.0.1:0,server=on --backend ${backend}`;
      await onTerminal(server, async (terminal) => {
        await terminal.untilOut("QEMU waiting for connection on: disconnected:tcp:127.0.0.1:");
        await terminal.type("\x01h");
        await terminal.untilOut("C-a x    exit emulator");
        if (backend === "mon:stdio") {
          await terminal.type("\x01cinfo chardev\r");
          await terminal.untilOut("backend0: filename=mux");
          await terminal.type("\x01c");
        }
        await terminal.type(end!);
      });
    }
  },
);
