import { assert, assertEquals } from "@std/assert";
import { formatTransport, type Transport } from "../../channel/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { executeLine, runMonitor } from "../../migration/monitor.ts";
import { sourceCommands, targetCommands } from "../../migration/monitor_commands.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { beginState, endState, initialState } from "../../migration/state.ts";

/** A target's monitor that notes where it was told to listen. */
function target(fails?: MigrationError) {
  const subject = { state: initialState(), parameters: defaultParameters() };
  const listened: string[] = [];
  const commands = targetCommands({
    ...subject,
    incoming(address: Transport) {
      listened.push(formatTransport(address));
      return fails === undefined ? Promise.resolve() : Promise.reject(fails);
    },
  });
  return { ...subject, listened, commands };
}

/** What is typed, and what QEMU 7.2 prints. */
const LINES: readonly [line: string, output: string][] = [
  ["", ""],
  ["   ", ""],
  ["foo", "unknown command: 'foo'"],
  ["info foo", "unknown command: 'info foo'"],
  ["help nonexist", "unknown command: 'nonexist'"],
  ["help info status", "info status -- show the current VM status (running|paused)"],
  ["info status", "VM status: paused (inmigrate)"],
  [
    "migrate_set_parameter bogus 1",
    "Error: invalid parameter value: bogus\nhint: one of: tls-creds, tls-hostname, tls-authz",
  ],
  [
    "migrate_set_parameter tls-creds",
    'migrate_set_parameter: string expected\nTry "help migrate_set_parameter" for more information',
  ],
  [
    "migrate_incoming",
    'migrate_incoming: string expected\nTry "help migrate_incoming" for more information',
  ],
  [
    "migrate_incoming tcp:127.0.0.1:0 extra",
    "migrate_incoming: extraneous characters at the end of line\n" +
    'Try "help migrate_incoming" for more information',
  ],
  [
    "help migrate_incoming",
    "migrate_incoming uri -- Continue an incoming migration from an -incoming defer",
  ],
  ["migrate_set_parameter tls-creds tls0", ""],
  ["info migrate_parameters", "tls-creds: 'tls0'\ntls-hostname: ''\ntls-authz: ''"],
  ['migrate_set_parameter tls-creds ""', ""],
  ['migrate_set_str_parameter tls-authz "a \\"b\\""', ""],
  ["info migrate_parameters", "tls-creds: ''\ntls-hostname: ''\ntls-authz: 'a \"b\"'"],
  ['migrate_set_parameter tls-creds "x', "unterminated string"],
];

/** Types lines into a whole monitor and gives what it printed after each prompt. */
async function type(
  commands: Parameters<typeof executeLine>[0],
  lines: readonly string[],
): Promise<{ outputs: string[]; end: "quit" | "eof" }> {
  let printed = "";
  const end = await runMonitor({
    commands,
    input: ReadableStream.from(lines.map((line) => new TextEncoder().encode(`${line}\n`))),
    output: (text) => printed += text,
    version: "1.2.3",
  });
  return { outputs: printed.split("(qemu) ").map((text) => text.replace(/\n$/, "")), end };
}

Deno.test("runMonitor() answers as QEMU's monitor does", async () => {
  const { outputs, end } = await type(target().commands, LINES.map(([line]) => line));
  assertEquals(outputs.slice(1, -1), LINES.map(([, output]) => output));
  assertEquals(outputs[0], "virtcreds 1.2.3 monitor - type 'help' for more information");
  assertEquals(end, "eof");
});

Deno.test("runMonitor() ends at quit, and leaves what stands behind it", async () => {
  for (const quit of ["quit", "q", " quit "]) {
    const { listened, commands } = target();
    const { end } = await type(commands, ["info status", quit, "migrate_incoming tcp:[::1]:1"]);
    assertEquals([end, listened], ["quit", []]);
  }
});

Deno.test("runMonitor() skips a line that is too long to its end, and says so", async () => {
  const long = `info ${"x".repeat(5000)}`;
  const rows: [chunks: string[], listened: string[]][] = [
    // The head in one piece, a command in the tail in another.
    [[long, "\nmigrate_incoming unix:/a\n"], ["unix:/a"]],
    [[long, "migrate_incoming unix:/a\n", "migrate_incoming unix:/b\n"], ["unix:/b"]],
    [[long, " ", "migrate_incoming unix:/a", "\r\n"], []],
    [[`${long}\nmigrate_incoming unix:/b\n`], ["unix:/b"]],
    [[long], []],
  ];
  for (const [chunks, expected] of rows) {
    const { listened, commands } = target();
    let printed = "";
    await runMonitor({
      commands,
      input: ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk))),
      output: (text) => printed += text,
      version: "1",
    });
    assertEquals(listened, expected);
    assertEquals(printed.match(/line too long: .* 4096 characters/g)?.length, 1, printed);
  }
});

Deno.test("runMonitor() lists its commands", async () => {
  const { outputs } = await type(target().commands, ["help", "?", "info"]);
  assertEquals(outputs[1], outputs[2]);
  for (const name of ["help", "migrate_incoming uri", "migrate_set_parameter", "quit"]) {
    assert(outputs[1]!.includes(`${name} `), name);
  }
  assertEquals(
    outputs[3]!.split("\n").map((line) => line.split(" --")[0]),
    ["info migrate", "info migrate_parameters", "info status"],
  );
});

Deno.test("migrate_incoming listens once, and again after a failure", async () => {
  const { listened, commands } = target();
  assertEquals(await executeLine(commands, "migrate_incoming tcp:127.0.0.1:0"), "");
  assertEquals(
    await executeLine(commands, "migrate_incoming tcp:127.0.0.1:0"),
    "Error: The incoming migration has already been started\n" +
      "hint: `info migrate` shows where it listens",
  );
  assertEquals(listened, ["tcp:127.0.0.1:0"]);

  const failing = target(new MigrationError("REFUSED", { text: "in use", hint: "take another" }));
  for (let i = 0; i < 2; i++) {
    assertEquals(
      await executeLine(failing.commands, "migrate_incoming unix:/run/x"),
      "Error: in use\nhint: take another",
    );
  }
  assert(
    (await executeLine(target().commands, "migrate_incoming bogus:1"))
      .startsWith("Error: unknown migration protocol: bogus:1"),
  );
});

Deno.test("migrate waits, and with -d does not", async () => {
  const subject = { state: initialState(), parameters: defaultParameters() };
  const { promise, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const asked: unknown[] = [];
  const commands = sourceCommands({
    ...subject,
    migrate(address, detached) {
      asked.push([formatTransport(address), detached]);
      beginState(subject.state);
      return promise;
    },
    cancel: () => asked.push("cancel"),
  });
  assertEquals(await executeLine(commands, "migrate -d tcp:h:1"), "");
  assertEquals(
    await executeLine(commands, "migrate tcp:h:1"),
    "Error: There's a migration process in progress\n" +
      "hint: `info migrate` shows how far it is, `migrate_cancel` ends it",
  );
  await executeLine(commands, "migrate_cancel");
  endState(subject.state, "failed", "nobody there");
  const waiting = executeLine(commands, "migrate unix:/x");
  reject(new MigrationError("REFUSED", { text: "nobody there" }));
  assertEquals(await waiting, "Error: nobody there");
  assertEquals(asked, [["tcp:h:1", true], "cancel", ["unix:/x", false]]);
  assertEquals(
    await executeLine(commands, "migrate -x tcp:h:1"),
    'migrate: unsupported option -x\nTry "help migrate" for more information',
  );
  assertEquals(
    (await executeLine(commands, "help migrate")).split("\n")[0],
    "migrate [-d] uri -- migrate to URI (using -d to not wait for completion)",
  );
});

Deno.test("info migrate tells each state in QEMU's layout", async () => {
  const { state, commands } = target();
  const info = () => executeLine(commands, "info migrate");
  assertEquals(await info(), "Migration status: none");
  state.status = "setup";
  state.address = { kind: "tcp", host: "127.0.0.1", port: 4444 };
  assertEquals(
    await info(),
    "Migration status: setup\nsocket address: [\n\ttcp:127.0.0.1:4444\n]",
  );
  beginState(state);
  state.bytes = 4096;
  assert((await info()).startsWith("Migration status: active\ntotal time: "));
  state.pages = { normal: 3, zero: 5 };
  endState(state, "failed", "gone");
  const failed = await info();
  assert(failed.startsWith("Migration status: failed (gone)\n"), failed);
  assert(failed.includes("\ntransferred ram: 4 kbytes\n"), failed);
  assert(failed.includes("\nduplicate: 5 pages\nnormal: 3 pages"), failed);
});

Deno.test("migrate_set_parameter takes no parameter that it would ignore", async () => {
  const { commands } = target();
  assertEquals(
    await executeLine(commands, "migrate_set_parameter max-bandwidth 1G"),
    "Error: parameter 'max-bandwidth' has no effect here and is not taken\n" +
      "hint: one of: tls-creds, tls-hostname, tls-authz",
  );
  assertEquals(
    await executeLine(commands, `migrate_set_parameter tls-creds ${"x".repeat(256)}`),
    "Error: parameter 'tls-creds' takes up to 255 printable characters\n" +
      "hint: it is the id of an --object",
  );
});
