import { assertEquals } from "@std/assert";
import { start, startProgram } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

programTest(
  "a console that is suspended leaves the terminal as it was, and is raw again when it goes on",
  ["script", "stty"],
  async () => {
    using folder = temporaryDirectory();
    const pidFile = `${folder.path}/pid`;
    await using server = startProgram("chardev/server.ts", [
      ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
    ]);
    const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    const client = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ` +
      `${PROJECT}/chardev/client.ts --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
    const script = [
      "set -m; echo before $(stty -g)",
      `${client} & echo $! >${pidFile}`,
      "fg >/dev/null; echo stopped $(stty -g) code $?",
      "fg >/dev/null; echo after $(stty -g) code $?",
    ].join("; ");
    await using terminal = start("script", ["-qfec", `bash -c '${script}'`, "/dev/null"]);
    await terminal.untilOut("^] ends it");
    const pid = Number(Deno.readTextFileSync(pidFile));
    // A new size is the guest's business, which a serial line has no word for.
    Deno.kill(pid, "SIGWINCH");
    await terminal.type("one\x03");
    await server.untilOut("one\x03");
    Deno.kill(pid, "SIGTSTP");
    await terminal.untilOut("stopped ");
    // What is typed from here is for the console again, Ctrl-C and Ctrl-Z too.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await terminal.type("two\x03\x1a");
    await server.untilOut("two\x03\x1a");
    await terminal.type("\x1d");
    await terminal.untilOut("after ");
    await terminal.exit;
    const output = terminal.stdout();
    const modes = ["before", "stopped", "after"].map((word) =>
      new RegExp(`${word} (\\S+)`).exec(output)?.[1]
    );
    assertEquals(modes, [modes[0], modes[0], modes[0]]);
    assertEquals(/after \S+ code (\d+)/.exec(output)?.[1], "0");
    assertEquals(await server.exit, 0);
  },
);

programTest(
  "a console whose terminal is closed ends, and its server goes on",
  ["script"],
  async () => {
    await using server = startProgram("chardev/server.ts", [
      ...["--serve", "--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
    ]);
    const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    const client = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ` +
      `${PROJECT}/chardev/client.ts --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
    for (let turn = 1; turn <= 2; turn++) {
      await using terminal = start("script", ["-qfec", client, "/dev/null"]);
      await terminal.untilOut("^] ends it");
      terminal.signal("SIGKILL");
      await terminal.exit;
      await server.untilErr(new RegExp(`(has left[^]*){${turn}}`));
    }
  },
);
