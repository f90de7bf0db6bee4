import { assert, assertEquals } from "@std/assert";
import { directories } from "../chardev/devices.ts";
import { type Running, start, startProgram } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** A shell on a terminal that tells its modes around a client whose id is in a file. */
function terminalOf(pidFile: string, args: string): Running {
  const client = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ` +
    `${PROJECT}/chardev/client.ts ${args}`;
  const script = [
    "echo before $(stty -g)",
    `sh -c 'echo $$ >${pidFile}; exec ${client}'`,
    "code=$?; echo after $(stty -g) code $code",
  ].join("; ");
  return start("script", ["-qfec", script, "/dev/null"]);
}

/** The modes before and after, and the exit code. */
function modes(output: string): [string, string, number] {
  const [, before] = /before (\S+)/.exec(output)!;
  const [, after, code] = /after (\S+) code (\d+)/.exec(output)!;
  return [before!, after!, Number(code)];
}

programTest(
  "a console that SIGQUIT ends restores its terminal and says goodbye",
  ["script", "stty"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const pidFile = `${folder.path}/pid`;
    await using server = startProgram("chardev/server.ts", [
      ...["--object", `tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server`],
      ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0"],
    ]);
    const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    await using terminal = terminalOf(
      pidFile,
      `--object tls-creds-x509,id=tls0,dir=${dirs.elsewhere},endpoint=client ` +
        `--chardev socket,id=c0,host=localhost,port=${port},ipv6=off,tls-creds=tls0`,
    );
    await terminal.untilOut("^] ends it");
    Deno.kill(Number(Deno.readTextFileSync(pidFile)), "SIGQUIT");
    await terminal.untilOut("after ");
    await terminal.exit;
    const [before, after, code] = modes(terminal.stdout());
    assertEquals([after, code], [before, 131]);
    await server.untilErr(/127\.0\.0\.1:\d+ has left/);
    assertEquals(await server.exit, 0);
  },
);

programTest(
  "a console that dials shows and keeps no key, and Ctrl-] ends it",
  ["script", "stty"],
  async () => {
    using folder = temporaryDirectory();
    const path = `${folder.path}/s`;
    await using terminal = terminalOf(
      `${folder.path}/pid`,
      `--chardev socket,id=c0,path=${path},reconnect-ms=100`,
    );
    await terminal.untilOut("dialling: ^] ends it, other keys are dropped");
    await terminal.untilOut("dialling again");
    await terminal.type("secret\r");
    {
      await using server = startProgram("chardev/server.ts", [
        ...["--chardev", `socket,id=s0,path=${path},server=on`],
      ]);
      await terminal.untilOut("connected");
      await terminal.type("known\r");
      await server.untilOut("known\r");
      assertEquals(server.stdout(), "known\r");
      await server.type("welcome\n");
      await terminal.untilOut("welcome");
      server.signal("SIGTERM");
      assertEquals(await server.exit, 143);
    }
    await terminal.untilOut("has left\r\ndialling: ");
    await terminal.type("secret again\x1d");
    await terminal.untilOut("after ");
    await terminal.exit;
    const [before, after, code] = modes(terminal.stdout());
    assertEquals([after, code], [before, 0]);
    assert(!terminal.stdout().includes("secret"), terminal.stdout());
  },
);
