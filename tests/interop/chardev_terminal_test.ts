import { assert, assertEquals } from "@std/assert";
import { directories } from "../chardev/devices.ts";
import { start, startProgram } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** How a shell runs one of this project's programs. */
const program = (file: string) =>
  `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ${PROJECT}/${file}`;

programTest(
  "a console that is suspended leaves the terminal as it was, and is raw again when it goes on",
  ["script", "stty"],
  async () => {
    using folder = temporaryDirectory();
    const pidFile = `${folder.path}/pid`;
    const ttyFile = `${folder.path}/tty`;
    await using server = startProgram("chardev/server.ts", [
      ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
    ]);
    const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    const client = `${
      program("chardev/client.ts")
    } --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
    const script = [
      `set -m; tty >${ttyFile}; echo before $(stty -g)`,
      `${client} & echo $! >${pidFile}`,
      "fg >/dev/null; echo stopped $(stty -g) code $?",
      "fg >/dev/null; echo after $(stty -g) code $?",
    ].join("; ");
    await using terminal = start("script", ["-qfec", `bash -c '${script}'`, "/dev/null"]);
    await terminal.untilOut("^] ends it");
    const pid = Number(Deno.readTextFileSync(pidFile));
    // A new size is the guest's business, which a serial line has no word for.
    const tty = Deno.readTextFileSync(ttyFile).trim();
    const stty = async (...args: string[]) => {
      const { code, stdout } = await new Deno.Command("stty", { args: ["-F", tty, ...args] })
        .output();
      assertEquals(code, 0);
      return new TextDecoder().decode(stdout).trim();
    };
    await stty("rows", "41", "cols", "101");
    assertEquals(await stty("size"), "41 101");
    await terminal.type("one\x03");
    await server.untilOut("one\x03");
    assertEquals(await stty("size"), "41 101");
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
    const client = `${
      program("chardev/client.ts")
    } --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
    for (let turn = 1; turn <= 2; turn++) {
      await using terminal = start("script", ["-qfec", client, "/dev/null"]);
      await terminal.untilOut("^] ends it");
      terminal.signal("SIGKILL");
      await terminal.exit;
      await server.untilErr(new RegExp(`(has left[^]*){${turn}}`));
    }
  },
);

/** A number that Linux keeps of a process whose id is in a file. */
function processNumber(pidFile: string, file: "status" | "io", name: "VmRSS" | "wchar"): number {
  const text = Deno.readTextFileSync(`/proc/${Deno.readTextFileSync(pidFile).trim()}/${file}`);
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)![1]);
}

programTest(
  "a guest's yes at full speed is held back by a terminal that nobody reads, and Ctrl-C ends it",
  ["script", "bash"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const pids = ["server", "client"].map((name) => `${folder.path}/${name}`);
    const object = (dir: string, endpoint: string) =>
      `--object tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`;
    // The guest is a shell on a pseudo terminal of its own.
    const yes = `${folder.path}/yes`;
    Deno.writeTextFileSync(
      `${folder.path}/guest`,
      `trap : INT\nstty -opost\nsh -c 'echo $$ >${yes}; exec yes'\necho ended with $?\n`,
    );
    await using server = start("bash", [
      "-c",
      `echo $$ >${pids[0]}; exec ${program("chardev/server.ts")} ` +
      `${object(dirs.localhost, "server")} ` +
      "--chardev socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0 " +
      `--backend "exec:script -qec 'bash ${folder.path}/guest' /dev/null"`,
    ]);
    const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    const client = `echo $$ >${pids[1]}; exec ${program("chardev/client.ts")} ` +
      `${object(dirs.elsewhere, "client")} ` +
      `--chardev socket,id=c0,host=localhost,port=${port},ipv6=off,tls-creds=tls0`;
    await using terminal = new Deno.Command("script", {
      args: ["-qfec", client, "/dev/null"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const keys = terminal.stdin.getWriter();
    const screen = terminal.stdout.getReader();
    let [shown, tail] = [0, ""];
    const decoder = new TextDecoder();
    const watch = async (until: () => boolean) => {
      while (!until()) {
        const { value, done } = await screen.read();
        assert(!done, `the terminal closed after ${shown} bytes: ${tail}`);
        shown += value.length;
        tail = (tail + decoder.decode(value, { stream: true })).slice(-4096);
      }
    };
    const total = soakCount(512) * 2 ** 20;
    await watch(() => shown > total / 2);
    const memory = () => pids.map((file) => processNumber(file, "status", "VmRSS") / 1024);
    const before = memory();
    // Nobody reads the terminal now: in the end all between are full, and the guest waits.
    const said = () => processNumber(yes, "io", "wchar");
    for (let [last, still] = [-1, 0], turns = 0; still < 3; turns++) {
      assert(turns < 300, `the guest goes on, with ${last - shown} bytes that nobody reads`);
      await new Promise((resolve) => setTimeout(resolve, 100));
      still = said() === last ? still + 1 : 0;
      last = said();
    }
    const waiting = (said() - shown) / 2 ** 20;
    const grown = memory().map((now, i) => now - before[i]!);
    assert(waiting < 32 && grown.every((more) => more < 64), `${waiting}, ${grown} MiB more`);
    await keys.write(new TextEncoder().encode("\x03"));
    await watch(() => tail.includes("ended with 130"));
    await keys.close();
    await screen.cancel();
    soakRow(
      "bytes of yes through a terminal",
      shown,
      `${waiting.toFixed(1)} MiB wait when nobody reads, ` +
        `${grown.map((more) => more.toFixed(1)).join(" and ")} MiB more memory`,
    );
  },
);
