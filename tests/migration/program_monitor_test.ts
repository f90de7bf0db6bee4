import { assertEquals, assertMatch } from "@std/assert";
import { closeNumber, sendingSocket, socketPair } from "../support/descriptors.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { type Program, startProgram } from "./programs.ts";

/** A person at the other end of a monitor's socket: sends lines, and sees what comes back. */
async function person(lines: readonly string[], address: string): Promise<string> {
  const child = new Deno.Command("socat", {
    args: ["-t10", "-", address],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")));
  await input.close();
  const { stdout } = await child.output();
  // Lines are edited here, which draws them: what is left is what was said.
  // deno-lint-ignore no-control-regex
  return new TextDecoder().decode(stdout).replace(/\x1b\[\d*[A-Z]|\r/g, "");
}

async function monitored(address: string): Promise<readonly [Program, string]> {
  const target = startProgram("target", ["--incoming", "defer", "--monitor", address]);
  try {
    const [, at] = await target.says(/serving the monitor on (\S+?),server=on/);
    return [target, at!];
  } catch (error) {
    await target[Symbol.asyncDispose]();
    throw error;
  }
}

programTest(
  "migration target serves a person's monitor on a unix socket and on TCP, one after the other",
  ["socat"],
  async () => {
    using temp = temporaryDirectory();
    for (const kind of ["unix", "tcp"] as const) {
      const path = `${temp.path}/monitor`;
      const [program, at] = await monitored(
        kind === "unix" ? `unix:${path},server=on,wait=off` : "tcp:127.0.0.1:0,server=on,wait=off",
      );
      await using target = program;
      const address = kind === "unix" ? `UNIX-CONNECT:${path}` : at.replace(/^tcp:/, "TCP:");
      const first = await person(
        ["migrate_set_parameter tls-hostname vm9", "info status"],
        address,
      );
      assertMatch(first, /^virtcreds \S+ monitor - type 'help' for more information\n\(qemu\) /);
      assertMatch(first, /\nVM status: paused \(inmigrate\)\n\(qemu\) $/);
      // Who comes next sees what the one before has done; socat hands no descriptor over.
      const second = await person(
        ["info migrate_parameters", "getfd mig", "migrate_incoming fd:mig", "quit"],
        address,
      );
      assertMatch(second, /\ntls-hostname: 'vm9'\n/);
      assertMatch(second, /\nError: No file descriptor supplied via SCM_RIGHTS\n/);
      assertMatch(second, /\nError: File descriptor named 'mig' has not been found\n/);
      assertEquals(await target.exit, 0, target.stderr());
    }
  },
);

Deno.test("migration target and source take QMP from standard input and answer on standard output", async () => {
  using temp = temporaryDirectory();
  const socket = `unix:${temp.path}/s`;
  await using target = startProgram("target", ["--incoming", "defer", "--qmp", "stdio"]);
  await using source = startProgram("source", ["--guest-ram", "1M", "--qmp", "stdio"]);
  for (const program of [target, source]) {
    await program.says(/^\{"QMP": \{"version": \{"qemu": .*\}\}\r\n/);
    await program.type('{"execute":"qmp_capabilities"}');
    await program.says(/\{"return": \{\}\}\r\n$/);
  }
  await target.type(`{"execute":"migrate-incoming","arguments":{"uri":"${socket}"},"id":1}`);
  await target.says(/\{"return": \{\}, "id": 1\}\r\n/);
  await source.type(
    '{"execute":"migrate-set-capabilities","arguments":{"capabilities":[{"capability":"events","state":true}]}}',
  );
  await source.type(`{"execute":"migrate","arguments":{"uri":"${socket}"},"id":2}`);
  await source.says(/\{"return": \{\}, "id": 2\}\r\n/);
  await source.says(/"event": "MIGRATION", "data": \{"status": "completed"\}\}\r\n/);
  assertEquals(await target.exit, 0, target.stderr());
  // Whoever gives up its input has nothing more to say.
  await source.type("not JSON");
  await source.says(/\{"error": \{"class": "GenericError", "desc": "JSON parse error, /);
  await source.endInput();
  assertEquals(await source.exit, 0, source.stderr());
  // Nothing but QMP is on standard output.
  for (const line of source.stdout().trimEnd().split("\r\n")) JSON.parse(line);
});

Deno.test("the human monitor takes descriptors, too: a guest goes over a connection of somebody else", async () => {
  using temp = temporaryDirectory();
  const [left, right] = socketPair();
  const serve = (name: string) => `unix:${temp.path}/${name},server=on,wait=off`;
  await using target = startProgram("target", [
    ...["--incoming", "defer", "--guest-ram", "1M", "--monitor", serve("target")],
  ]);
  await using source = startProgram("source", ["--guest-ram", "1M", "--monitor", serve("source")]);
  const bytes = (line: string) => new TextEncoder().encode(`${line}\n`);
  for (
    const [program, name, end, command] of [
      [target, "target", right, "migrate_incoming fd:mig"],
      [source, "source", left, "migrate -d fd:mig"],
    ] as const
  ) {
    await program.says(/serving the monitor on /);
    using socket = sendingSocket(`${temp.path}/${name}`);
    socket.send(bytes("getfd mig"), end);
    closeNumber(end);
    socket.send(bytes(command));
    await program.says(name === "target" ? /listening on fd:mig/ : /completed: /);
  }
  assertEquals(await target.exit, 0, target.stderr());
});
