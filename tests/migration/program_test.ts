import { assert, assertEquals, assertMatch } from "@std/assert";
import { connect, listen } from "../../channel/mod.ts";
import { type Finished, PROJECT, run, virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { makePki } from "../support/pki.ts";
import { startProgram, startTarget, tlsFlags } from "./programs.ts";
import { joined, records } from "./streams.ts";
import { guestMemory } from "../../migration/guest_memory.ts";
import { readStream } from "../../migration/stream_reader.ts";

function files(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}

/** One `error:` line that matches, at least one `hint:`, and nothing else. */
function assertRefused(finished: Finished, code: number, text: RegExp): void {
  assertEquals(finished.code, code, finished.stderr);
  assertEquals(finished.stdout, "");
  const lines = finished.stderr.trimEnd().split("\n");
  assertMatch(lines[0]!, /^error: /);
  assertMatch(finished.stderr.trimEnd(), text);
  assertEquals(lines.slice(1).every((line) => line.startsWith("hint: ")), true, finished.stderr);
  assert(lines.length > 1, finished.stderr);
}

/** Wrong usage and bad input: arguments, exit code, the line. */
const REFUSED: readonly [args: readonly string[], code: number, text: RegExp][] = [
  [["target"], 2, /missing --incoming/],
  [["target", "--incoming"], 2, /--incoming needs a value/],
  [["target", "--incoming", "defer"], 2, /--incoming defer waits for a monitor command/],
  [["target", "--incoming", "bogus:1"], 2, /unknown .*: bogus:1\nhint: .*exec:COMMAND, fd:NUMBER/],
  [["target", "--incoming", "tcp:127.0.0.1:99999"], 2, /99999/],
  [
    ["target", "--incoming", "defer", "--qmp", "pty"],
    2,
    /^error: --qmp: 'pty' is no address of it/,
  ],
  [["source", "--qmp", "unix:/x,wait=off", "--guest-ram", "1M"], 2, /incompatible with .* client/],
  [
    ["target", "--incoming", "defer", "--qmp", "stdio", "--monitor", "stdio"],
    2,
    /--monitor and --qmp cannot both have standard input/,
  ],
  [
    ["target", "--incoming", "defer", "--json", "--monitor", "stdio"],
    2,
    /--json and a monitor cannot both have standard output/,
  ],
  [["target", "--incoming", "defer", "--qmp", "unix:/no/such/s,server=on"], 1, /No such file/],
  [["target", "--incoming", "exec:"], 2, /'exec:': it names no command/],
  [["target", "--incoming", "fd:999"], 1, /cannot use fd:999: Bad file descriptor/],
  [["target", "--incoming", "fd:name"], 1, /File descriptor named 'name' has not been found/],
  [["target", "--incoming", "file:nope"], 1, /file:nope: No such file .*\nhint: .*: ls -l \.$/],
  [
    ["target", "--incoming", `file:${PROJECT}/deno.json,offset=99999999`],
    1,
    /deno\.json: offset 99999999 is not within its \d+ bytes$/m,
  ],
  [["target", "--incoming", "file:/x,offset=y"], 2, /file URI has bad offset y/],
  [
    ["target", "--incoming", "tcp:127.0.0.1:0", "--parameter", "multifd-channels=0"],
    2,
    /1 and 255/,
  ],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--capability", "xbzrle=on"], 2, /not supported/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--capability", "foo=on"], 2, /value: foo/],
  [["source", "--migrate", "exec: ", "--guest-ram", "1M"], 2, /it names no command/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--monitor", "vc"], 2, /'vc' is no address of it/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--idle-timeout", "0"], 2, /whole number/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--tls-creds", "x"], 1, /id 'x'/],
  [
    ["target", "--incoming", "tcp:127.0.0.1:0", "--tls-authz", "x"],
    2,
    /^error: tls-authz decides .* without tls-creds everybody may/,
  ],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--out", "/no/such/f"], 1, /no such dir/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--out", "/proc/x"], 1, /in a folder that takes/],
  [["target", "--incoming", "tcp:127.0.0.1:0", "--out", "/dev"], 1, /regular file/],
  [["target", "--incoming", "tcp:192.0.2.1:0"], 1, /Failed to bind|Cannot assign/],
  [
    ["target", "--incoming", "tcp:127.0.0.1:0", "--object", "nonsense,id=x"],
    2,
    /nonsense/,
  ],
  [
    ["target", "--incoming", "tcp:127.0.0.1:0", "--object", "tls-creds-anon,id=t0,endpoint=server"],
    2,
    /^error: nothing uses the credentials 't0': the channel would be plain$/m,
  ],
  [
    ["source", "--migrate=tcp:127.0.0.1:1", "--guest-ram=1M", "--object=tls-creds-anon,id=t0"],
    2,
    /^error: nothing uses the credentials 't0': the channel would be plain$/m,
  ],
  [["source"], 2, /missing --migrate/],
  [["source", "--migrate", "tcp:127.0.0.1:abc", "--guest-ram", "1M"], 2, /Servname not supp/],
  [["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram", "4X"], 2, /'4X' is not a size/],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram", "1M", "--tls-creds", "x".repeat(300)],
    2,
    /'tls-creds' takes up to 255/,
  ],
  [
    ["source", "--migrate=tcp:127.0.0.1:1", "--guest-ram=1M", "--guest-uuid=1-2"],
    2,
    /^error: cannot set 'guest-uuid': '1-2' is no UUID$/m,
  ],
  [["source", "--migrate", "tcp:127.0.0.1:1"], 2, /nothing to send/],
  [
    ["source", "--migrate=tcp:127.0.0.1:1", "--guest-ram=16M", "--dirty-set=64M"],
    2,
    /--dirty-set 64M is more than --guest-ram 16M/,
  ],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--in", "a", "--guest-ram", "1M"],
    2,
    /exclude each other/,
  ],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram", "lots"],
    2,
    /--guest-ram: .*'lots' is not a size/,
  ],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram=1M", "--dirty-rate=foo"],
    2,
    /^error: --dirty-rate: .*'foo' is not a size/,
  ],
  [["target", "--incoming", "tcp:"], 2, /^error: --incoming: error parsing address ''/],
  [["source", "--migrate", "tcp:127.0.0.1:1", "--in", "/no/file"], 1, /no such file/],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram", "1M"],
    1,
    /Failed to connect to '127\.0\.0\.1:1': Connection refused/,
  ],
  [
    ["source", "--migrate", "tcp:127.0.0.1:1", "--guest-ram", "1M", "--tls-hostname", "vm2"],
    2,
    /tls-hostname is verified over TLS only, and without tls-creds the guest goes in plain/,
  ],
  [["source", "--migrate", "fd:999", "--guest-ram", "1M"], 1, /cannot use fd:999: Bad file/],
  [["relay"], 2, /^error: missing --incoming\nhint: see: deno .*migration relay --help$/],
  [["inspect"], 2, /missing FILE/],
  [["inspect", "/no/file"], 1, /cannot read \/no\/file/],
  [["inspect", "/etc/passwd"], 1, /\/etc\/passwd is no stream .*Not a migration stream/],
];

Deno.test("migration ends with its exit code and says why, whatever it is given", async () => {
  // Two at a time: to start is all that they do.
  const rows = REFUSED.values();
  const lane = async () => {
    for (const [args, code, text] of rows) {
      const finished = await virtcreds(["migration", ...args]);
      try {
        assertRefused(finished, code, text);
      } catch (error) {
        throw new Error(`migration ${args.join(" ")}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all([lane(), lane()]);
});

Deno.test("migration target says where it listens and what it got, and ends with 0", async () => {
  using temp = temporaryDirectory();
  await using target = await startTarget(["--out", `${temp.path}/guest`]);
  const sent = await virtcreds(["migration", "source", "--migrate", target.uri, "--guest-ram=8M"]);
  assertEquals(sent.code, 0, sent.stderr);
  assertMatch(
    sent.stderr,
    /waiting for the destination's acknowledgement\ncompleted: \d+ bytes in \S+ s \(\S+ MB\/s\), virtcreds-guest-1, plain, .*acknowledged/,
  );
  assertEquals(await target.exit, 0);
  assertMatch(
    target.stderr(),
    /completed: \d+ bytes in \S+ s \(\S+ MB\/s\), virtcreds-guest-1, 0 device sections verified, plain, peer not verified, kept in /,
  );
  // The digest that the source prints is that of the memory in the file.
  const memory = guestMemory(8 * 1024 * 1024);
  const reader = readStream({ visitor: memory });
  reader.push(Deno.readFileSync(`${temp.path}/guest`));
  reader.end();
  const digest = (await memory.digests()).get("guest.ram");
  assertEquals(sent.stdout, `${digest}  guest.ram\n`);
});

Deno.test("migration target leaves nothing behind when it is interrupted", async () => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    using temp = temporaryDirectory();
    await using target = await startTarget(["--out", `${temp.path}/guest`]);
    const [, port] = /:(\d+)$/.exec(target.uri)!;
    await using channel = await connect({ kind: "tcp", host: "127.0.0.1", port: Number(port) });
    await channel.write(joined(records()).subarray(0, 9000));
    await target.says(/receiving/);
    assertEquals(files(temp.path), ["guest.partial"]);
    target.signal(signal);
    assertEquals(await target.exit, code, target.stderr());
    assertEquals(files(temp.path), []);
    assertEquals(/error|hint/.test(target.stderr()), false, target.stderr());
  }
});

Deno.test("migration target keeps no file of a source that is killed, and serves the next", async () => {
  using temp = temporaryDirectory();
  await using target = await startTarget(["--out", `${temp.path}/guest`]);
  {
    await using source = startProgram("source", ["--migrate", target.uri, "--guest-ram", "64G"]);
    await target.says(/receiving/);
    source.signal("SIGKILL");
  }
  await target.says(/^error: .*(before the end of the stream|is not complete)/m);
  assertEquals(files(temp.path), []);
  await using source = startProgram("source", ["--migrate", target.uri, "--guest-ram", "1M"]);
  assertEquals(await source.exit, 0, source.stderr());
  assertEquals(await target.exit, 0);
  assertEquals(files(temp.path), ["guest"]);
});

Deno.test("migration source ends with 1 when its target is killed", async () => {
  await using target = await startTarget([]);
  await using source = startProgram("source", ["--migrate", target.uri, "--guest-ram", "64G"]);
  await target.says(/receiving/);
  target.signal("SIGKILL");
  assertEquals(await source.exit, 1);
  assertMatch(source.stderr(), /^error: the peer closed the connection after \d+ bytes/m);
  assertMatch(source.stderr(), /^hint: .*the target's log$/m);
});

Deno.test("migration source claims nothing of a destination that reads nothing", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  const [header, , , ...rest] = records();
  Deno.writeFileSync(file, joined([header!, ...rest]));
  await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const { port } = listener.address as { port: number };
  const args = ["--migrate", `tcp:127.0.0.1:${port}`, "--in", file];
  await using source = startProgram("source", args);
  await using _ = await listener.accept();
  assertEquals(await source.exit, 0, source.stderr());
  assertMatch(
    source.stderr(),
    /^completed: .*, sent: a destination without .* acknowledges nothing/m,
  );
});

Deno.test("migration source ends with 130 when it is interrupted", async () => {
  await using target = await startTarget([]);
  await using source = startProgram("source", ["--migrate", target.uri, "--guest-ram", "64G"]);
  await target.says(/receiving/);
  source.signal("SIGINT");
  assertEquals(await source.exit, 130);
  assertMatch(source.stderr(), /^cancelled: the guest goes on\n/m);
  assertEquals(/error/.test(source.stderr()), false, source.stderr());
});

Deno.test("migration target tells who has its port", async () => {
  await using taken = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  const { port } = taken.address as { port: number };
  const finished = await virtcreds(["migration", "target", "--incoming", `tcp:127.0.0.1:${port}`]);
  assertRefused(finished, 1, /Failed to find an available port: Address already in use/);
});

Deno.test("migration inspect shows a stream as text and as JSON", async () => {
  using temp = temporaryDirectory();
  Deno.writeFileSync(`${temp.path}/guest`, joined([...records(), new Uint8Array(5)]));
  const text = await virtcreds(["migration", "inspect", "guest"], { cwd: temp.path });
  assertEquals(text.code, 0);
  assertMatch(
    text.stderr,
    /^warning: 5 bytes from offset \d+ on are not part of the stream\nhint: /,
  );
  assertMatch(text.stdout, /^content +pc-i440fx-7\.2, 3 device sections verified$/m);
  assertMatch(text.stdout, /^after the end 5 bytes, not part of the stream$/m);
  assertMatch(text.stdout, /^pages +3 whole, 3 zero, 1 delta, 1 compressed$/m);
  assertMatch(text.stdout, /^pc\.ram +65536$/m);
  assertMatch(text.stdout, /^cpu +0 +12 +\d+ +17$/m);
  const json = await virtcreds(["migration", "inspect", "guest", "--json"], { cwd: temp.path });
  const summary = JSON.parse(json.stdout);
  assertEquals(summary.machine, "pc-i440fx-7.2");
  assertEquals([summary.devices.length, summary.trailing], [3, 5]);
  assertEquals(json.stdout.trim().split("\n").length, 1);
});

Deno.test("migration target and source mark a peer that they did not verify", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
  await using target = await startTarget(tlsFlags(pki.host("vm2"), "server", ",verify-peer=off"));
  const args = ["--migrate", target.uri, "--guest-ram", "1M"];
  const flags = tlsFlags(pki.host("vm1"), "client", ",verify-peer=off");
  const sent = await virtcreds(["migration", "source", ...flags, ...args]);
  assertEquals(sent.code, 0, sent.stderr);
  assertMatch(sent.stderr, /^completed: .*, peer \S.*CN=vm2 \(not verified\), acknowledged/m);
  assertEquals(await target.exit, 0, target.stderr());
  assertMatch(target.stderr(), /: receiving, TLS\S+ \S+, peer \S.*CN=vm1 \(not verified\)$/m);
});

Deno.test("migration target ends at once where it could serve nobody, and warns where a monitor can mend it", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
  const absent = [...tlsFlags(pki.host("vm2"), "server"), "--tls-authz", "az9"];
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [absent, /^error: Cannot find QAuthZ object ID az9\nhint: --object authz-simple,id=az9,/],
    [tlsFlags(pki.host("vm1"), "client"), /^error: Expected TLS credentials .*\nhint: --object /],
  ];
  for (const [flags, text] of rows) {
    const args = ["migration", "target", "--incoming", "tcp:127.0.0.1:0", ...flags];
    assertRefused(await virtcreds(args), 1, text);
  }
  const monitored = ["--incoming", "defer", "--monitor", "stdio", ...absent];
  await using target = startProgram("target", monitored);
  await target.type("migrate_incoming tcp:127.0.0.1:0");
  await target.says(/^listening on tcp:/m);
  assertMatch(
    target.stderr(),
    /^warning: every source will be refused: Cannot find QAuthZ .* az9\n/m,
  );
  await target.type("quit");
  assertEquals(await target.exit, 0);
});

Deno.test("migration source says what the destination must be where TLS does not come up", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
  const flags = tlsFlags(pki.host("vm1"), "client");
  await using plain = await startTarget([]);
  const args = ["migration", "source", ...flags, "--migrate", plain.uri, "--guest-ram", "1M"];
  assertRefused(await virtcreds(args), 1, /TLS handshake failed: /);
  await plain.says(/^hint: the other side speaks TLS: give --tls-creds here/m);

  await using secured = await startTarget(tlsFlags(pki.host("vm2"), "server"));
  const sent = await virtcreds(
    ["migration", "source", "--migrate", secured.uri, "--guest-ram", "1M"],
  );
  assertEquals(sent.code, 1);
  assertMatch(sent.stderr, /^error: the peer closed the connection .*\nhint: /m);
  await secured.says(/^error: \S+: TLS handshake failed: .*\nhint: the source must migrate with/m);
});

Deno.test("migration source says of a file where it is, and nothing of a destination", async () => {
  using temp = temporaryDirectory();
  const args = ["migration", "source", "--guest-ram=1M", "--migrate=file:a.mig"];
  const { code, stderr } = await virtcreds(args, { cwd: temp.path });
  assertEquals(code, 0, stderr);
  assertMatch(
    stderr,
    /^file:a\.mig: saving\ncompleted: .*, virtcreds-guest-1, whole and on disk in a\.mig\n$/,
  );
});

Deno.test("migration source and target say at once what a descriptor cannot do", async () => {
  using temp = temporaryDirectory();
  const program = (name: string, flags: string, after: string) => {
    const deno = `'${Deno.execPath()}' run -A --config '${PROJECT}/deno.json'`;
    const text = `${deno} '${PROJECT}/migration/${name}.ts' ${flags} ${after}`;
    return run("/bin/sh", ["-c", text], { cwd: temp.path });
  };
  for (const after of ["7>w.out", "7<>w.out", "7>&1 | cat >w.out"]) {
    const source = await program("source", "--guest-ram 1M --migrate fd:7", after);
    assertMatch(
      source.stderr,
      /^error: fd:7 is a file or one way of a pipe, .* awaits an answer\n/,
    );
    assertMatch(source.stderr, /^hint: file:PATH saves/m);
    assertEquals(Deno.statSync(`${temp.path}/w.out`).size, 0);
  }
  const target = await program("target", "--incoming fd:7", "7>w.out");
  assertEquals(target.code, 1);
  assertMatch(target.stderr, /^error: cannot use fd:7: it is open for writing only\nhint: 7<FILE/);
});

Deno.test("migration source and target go over commands", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest.mig`;
  const stream = joined(records());
  Deno.writeFileSync(file, stream);
  const migrate = ["migration", "source", "--in", file, "--migrate"];
  const shut = "printf '\\000\\001\\000\\004\\000\\000\\000\\000'";
  const take = `exec:head -c ${stream.length} >${temp.path}/copy; ${shut}`;
  const kept = await virtcreds([...migrate, take]);
  assertEquals(kept.code, 0, kept.stderr);
  assertMatch(kept.stderr, /^completed: .*, plain, peer not verified, acknowledged by /m);
  assertEquals(Deno.readFileSync(`${temp.path}/copy`), stream);

  const failed = await virtcreds([...migrate, "exec:exit 5"]);
  assertEquals(failed.code, 1, failed.stderr);
  assertMatch(failed.stderr, /^error: exec:exit 5 ended with exit code 5\nhint: /m);
  // A guest that the destination has acknowledged lives there, whatever the command says.
  const late = await virtcreds([...migrate, `${take}; exit 5`]);
  assertEquals(late.code, 0, late.stderr);
  assertMatch(late.stderr, /^completed: .*, acknowledged by /m);

  const incoming = ["migration", "target", "--out", `${temp.path}/got`, "--incoming"];
  const got = await virtcreds([...incoming, `exec:cat ${file}`]);
  assertEquals(got.code, 0, got.stderr);
  assertEquals(Deno.readFileSync(`${temp.path}/got`), stream);
  const whole = await virtcreds([...incoming, `exec:cat ${file}; exit 3`]);
  assertEquals(whole.code, 0, whole.stderr);
  assertMatch(whole.stderr, /^completed: .*\nwarning: exec:cat .* ended with exit code 3, /m);
  const cut = await virtcreds([...incoming, `exec:head -c 100 ${file}`]);
  assertEquals(cut.code, 1, cut.stderr);
  assertMatch(cut.stderr, /^error: the stream is not complete: it ends at byte 100,/m);
  const gone = await virtcreds([...incoming, "exec:exit 3"]);
  assertEquals(gone.code, 1, gone.stderr);
  assertMatch(gone.stderr, /^error: exec:exit 3 ended with exit code 3\nhint: /m);
});
