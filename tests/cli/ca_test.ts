import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { assertWholeSet, SET_FILES } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Every path below a directory. */
function tree(dir: string): string[] {
  return [...Deno.readDirSync(dir)].flatMap((entry) =>
    entry.isDirectory
      ? tree(`${dir}/${entry.name}`).map((name) => `${entry.name}/${name}`)
      : [entry.name]
  ).sort();
}

Deno.test("ca init and ca issue make a directory for each host and say what to do with it", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const made = await virtcreds(["ca", "init", "--name", "Example CA"], { cwd });
  assertEquals(made.code, 0, made.stderr);
  assertMatch(made.stdout, /^made the CA "Example CA" \(ec-p256\)\n/);
  assertMatch(made.stdout, / pki\/ca-cert\.pem, valid until 20\d\d-\d\d-\d\d, 3650 days\n/);
  assertEquals(made.stderr, "hint: now issue for a host: deno task ca issue HOST\n");

  const issued = await virtcreds(
    ["ca", "issue", "Host-A", "fd00::1", "--dns", "a.example.com", "--ip", "192.0.2.1"],
    { cwd },
  );
  assertEquals(issued.code, 0, issued.stderr);
  assertEquals(issued.stderr, "note: Host-A is issued as host-a\n");
  assertMatch(issued.stdout, /^issued for host-a \(ec-p256\)\n/);
  assertStringIncludes(issued.stdout, "DNS host-a, DNS a.example.com, IP 192.0.2.1\n");
  assertStringIncludes(issued.stdout, "DNS a.example.com, IP fd00::1, IP 192.0.2.1\n");
  assertMatch(issued.stdout, /valid until +20\d\d-\d\d-\d\d, 365 days\n/);
  for (const endpoint of ["server", "client"]) {
    assertStringIncludes(
      issued.stdout,
      `-object tls-creds-x509,id=tls0,dir=${cwd}/pki/hosts/host-a,endpoint=${endpoint},verify-peer=on\n`,
    );
  }
  for (const host of ["host-a", "fd00::1"]) assertWholeSet(`${cwd}/pki/hosts/${host}`);

  const again = await virtcreds(["ca", "issue", "host-a", "--role=client", "--days=9999"], { cwd });
  assertEquals(again.code, 0, again.stderr);
  assertMatch(again.stderr, /^note: host-a is valid until \S+ instead of for 9999 days/);
  assertStringIncludes(
    again.stderr,
    "note: not in the new set, but kept in pki/previous/host-a: server-cert.pem, server-key.pem\n",
  );
});

Deno.test("ca issue --json prints one object for each host", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/p,k i`;
  await makePki(dir, { hosts: [] });
  const args = ["ca", "issue", "a", "192.0.2.9", "--dir", dir, "--key-type", "ed25519", "--json"];
  const { code, stdout, stderr } = await virtcreds(args);
  assertEquals([code, stderr], [0, ""]);
  const [a, b, ...rest] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rest, []);
  assertEquals([a.host, a.dir, a.dns, a.ip], ["a", `${dir}/hosts/a`, ["a"], []]);
  assertEquals([b.host, b.dns, b.ip, b.keyType], ["192.0.2.9", [], ["192.0.2.9"], "ed25519"]);
  assertEquals(a.files, SET_FILES.map((name) => `${dir}/hosts/a/${name}`));
  assertEquals(a.previous, null);
  for (const role of ["server", "client"]) {
    assertMatch(a.serials[role], /^[0-9a-f]{32}$/);
    assertMatch(a.sha256[role], /^[0-9a-f]{64}$/);
  }
  assert(new Date(a.notBefore) < new Date() && new Date() < new Date(a.notAfter));
});

Deno.test("ca issue doubles a comma in the line for QEMU", async () => {
  using temp = temporaryDirectory();
  await makePki(`${temp.path}/p,ki`, { hosts: [] });
  const { stdout } = await virtcreds(["ca", "issue", "a", "--dir", `${temp.path}/p,ki`]);
  assertStringIncludes(stdout, `dir=${temp.path}/p,,ki/hosts/a,endpoint=server`);
});

Deno.test("ca --help and ca issue --help teach by example and end with the exit codes", async () => {
  for (const args of [["ca", "--help"], ["ca", "init", "--help"], ["ca", "issue", "--help"]]) {
    const { code, stdout, stderr } = await virtcreds(args);
    assertEquals([code, stderr], [0, ""]);
    assertStringIncludes(stdout, "Examples:\n");
    assertMatch(stdout.trimEnd().split("\n").at(-1)!, /Exit codes: 0 done, 1 .*, 2 wrong usage\.$/);
  }
});

/** What cannot be done: `error:` and first `hint:` line, exit code; nothing is written. */
const WRONG: readonly {
  readonly args: readonly string[];
  readonly error: string;
  readonly hint: string | RegExp;
  readonly code: 1 | 2;
  /** Whether there is a CA in `pki` before. */
  readonly ca?: boolean;
}[] = [
  {
    args: ["init", "--nmae", "x"],
    error: "unknown flag --nmae",
    hint: "see: deno task ca init --help",
    code: 2,
  },
  { args: ["init", "--days"], error: "--days needs a value (N)", hint: /--help/, code: 2 },
  {
    args: ["init", "--days", "0"],
    error: "--days takes a whole number from 1 to 36500, not '0'",
    hint: /--help/,
    code: 2,
  },
  {
    args: ["init", "--days", "36501"],
    error: "--days takes a whole number from 1 to 36500, not '36501'",
    hint: /--help/,
    code: 2,
  },
  {
    args: ["init", "--key-type", "dsa"],
    error: "--key-type does not take 'dsa'",
    hint: "one of: ec-p256, ec-p384, rsa-2048, rsa-3072, rsa-4096, ed25519",
    code: 2,
  },
  {
    args: ["init", "--name", "x".repeat(65)],
    error: `'${"x".repeat(65)}' cannot be the name of a CA: it has 65 characters, more than 64`,
    hint: 'choose one such as --name "virtcreds CA"',
    code: 2,
  },
  {
    args: ["init", "--name", "a\nb"],
    error: "'a\\u{a}b' cannot be the name of a CA: it has a control character",
    hint: /^choose one/,
    code: 2,
  },
  {
    args: ["init", "extra"],
    error: "unexpected argument 'extra'",
    hint: "see: deno task ca init --help",
    code: 2,
  },
  {
    args: ["init"],
    ca: true,
    error: "there is a CA already: pki/ca-cert.pem",
    hint: "go on with it: deno task ca issue HOST --dir pki",
    code: 1,
  },
  {
    args: ["init", "--dir", "/sys/pki"],
    error: "cannot write /sys/pki: ",
    hint: /who may write .* whether there is room: ls -ld \/sys\//,
    code: 1,
  },
  {
    args: ["init", "--dir", "/etc/passwd/pki"],
    error: "cannot write to /etc/passwd/pki: it is or leads through a file, not a directory",
    hint: "choose another one with --dir",
    code: 1,
  },
  { args: ["issue"], error: "missing HOST", hint: "see: deno task ca issue --help", code: 2 },
  {
    args: ["issue", "a"],
    error: "there is no CA: pki/ca-cert.pem does not exist",
    hint: "make one: deno task ca init --dir pki",
    code: 1,
  },
  {
    args: ["issue", "a", "--dir", "/etc/passwd"],
    error: "there is no CA: /etc/passwd/ca-cert.pem does not exist",
    hint: /ca init/,
    code: 1,
  },
  ...[
    ["../x", "it has the character '/'"],
    ["", "it is empty"],
    ["a b", "it has a space"],
    ["a\nb", "it has a line break", "a\\u{a}b"],
    ["x".repeat(300), "it has 300 characters, more than 253", `${"x".repeat(200)}…`],
    [".hidden", "it has an empty label"],
    ["a_b", "it has an underscore"],
    ["*.example.com", "it has a wildcard"],
    ["10.0.0.300", "its last label is a number, so that others take it for an IPv4 address"],
  ].map(([host, cause, shown = host]) => ({
    args: ["issue", "good", host!],
    ca: true,
    error: `'${shown}' is not a host name: ${cause}`,
    hint: /\w/,
    code: 2 as const,
  })),
  {
    args: ["issue", "--", "-x"],
    ca: true,
    error: "'-x' is not a host name: a label starts or ends with a hyphen",
    hint: /^a name has letters/,
    code: 2,
  },
  {
    args: ["issue", "a", "--dns", "*.example.com"],
    ca: true,
    error: "--dns '*.example.com' is not a DNS name: it has a wildcard",
    hint: "name each host, or add --allow-wildcard",
    code: 2,
  },
  {
    args: ["issue", "a", "--subject", "X=y"],
    ca: true,
    error: "--subject 'X=y' cannot be used: X is none of C, L, ST, O, OU, DC",
    hint: 'write it as in --subject "O=Example,L=Rack 7"',
    code: 2,
  },
  {
    args: ["init", "--permit-ip", "192.0.2.7/24"],
    error: "--permit-ip '192.0.2.7/24' is not an IP address: it is an address within the network",
    hint: "write --permit-ip 192.0.2.0/24",
    code: 2,
  },
  {
    args: ["init", "--passphrase-file", "nowhere"],
    error: "cannot read nowhere: no such file or directory",
    hint: /^/,
    code: 1,
  },
  {
    args: ["issue", "a", "--dns", "192.0.2.1"],
    ca: true,
    error: "--dns '192.0.2.1' is not a DNS name: it is an IP address",
    hint: "write --ip 192.0.2.1",
    code: 2,
  },
  {
    args: ["issue", "a", "--ip", "host"],
    ca: true,
    error: "--ip 'host' is not an IP address: it is no IPv4 or IPv6 literal",
    hint: "write --dns host",
    code: 2,
  },
  {
    args: ["issue", "a", "--role", "peer"],
    ca: true,
    error: "--role does not take 'peer'",
    hint: "one of: server, client",
    code: 2,
  },
  {
    args: ["issue", "a", "--days", "soon"],
    ca: true,
    error: "--days takes a whole number from 1 to 36500, not 'soon'",
    hint: /--help/,
    code: 2,
  },
  {
    args: ["issue", "a", "a"],
    ca: true,
    error: "'a' is not a host name: it is given twice",
    hint: "name each host once",
    code: 2,
  },
  {
    args: ["issue", "--inventory", "hosts.csv"],
    ca: true,
    error: "cannot read hosts.csv: no such file or directory",
    hint: /^/,
    code: 1,
  },
  {
    args: ["isue", "a"],
    ca: true,
    error: "unknown command 'ca isue'",
    hint: /^one of: init, issue, .*renew/,
    code: 2,
  },
];

for (const { args, ca = false, error, hint, code } of WRONG) {
  const title = JSON.stringify(args.join(" ")).slice(1, -1).slice(0, 60);
  Deno.test(`ca ${title}${ca ? " beside a CA" : ""} says what is wrong and writes nothing`, async () => {
    using temp = temporaryDirectory();
    if (ca) await makePki(`${temp.path}/pki`, { hosts: [] });
    const before = tree(temp.path);
    const finished = await virtcreds(["ca", ...args], { cwd: temp.path });
    const [first, second, ...more] = finished.stderr.split("\n");
    assertEquals([finished.code, finished.stdout], [code, ""], finished.stderr);
    assert(first!.startsWith(`error: ${error}`), first);
    const text = /^hint: (.*)$/.exec(second!)?.[1] ?? "";
    if (typeof hint === "string") assertEquals(text, hint);
    else assertMatch(text, hint);
    assert(more.every((line) => line === "" || line.startsWith("hint: ")), finished.stderr);
    assertEquals(tree(temp.path), before);
  });
}

Deno.test("ca init and ca issue leave nothing half-written where a file cannot grow", async () => {
  using temp = temporaryDirectory();
  // As on a full disk, a write fails in the middle of a set: the key fits, the certificate or the
  // database does not.
  const full =
    /^error: cannot (write pki\/\.new\/\S+\.pem: .*too large|use the database pki\/ca\.db: disk I\/O error)\n/;
  const limited = (args: readonly string[]) =>
    run("sh", [
      "-c",
      'trap "" XFSZ; ulimit -f 1; exec "$@"',
      "sh",
      Deno.execPath(),
      "run",
      "-A",
      `--config=${PROJECT}/deno.json`,
      `${PROJECT}/cli/ca.ts`,
      ...args,
    ], { cwd: temp.path });
  const name = ["--name", "x".repeat(64), "--key-type", "rsa-2048"];
  const init = await limited(["init", ...name]);
  assertEquals(init.code, 1);
  assertMatch(init.stderr, full);
  // What stays is empty, and in nobody's way.
  for (const file of tree(`${temp.path}/pki`)) {
    assertEquals(Deno.statSync(`${temp.path}/pki/${file}`).size, 0, file);
  }

  await makePki(`${temp.path}/pki`, { hosts: [{ name: "h" }] });
  const before = tree(temp.path);
  const issue = await limited(["issue", "h", "i", "--key-type", "rsa-2048"]);
  assertEquals(issue.code, 1);
  assertMatch(issue.stderr, full);
  assertEquals(tree(temp.path), before);
  assertWholeSet(`${temp.path}/pki/hosts/h`);
});

Deno.test("ca issue in several processes at once leaves whole sets of the same and of other hosts", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [] });
  const runs = Array.from(
    { length: 4 },
    (_, i) => virtcreds(["ca", "issue", "same", `own-${i}`, "--dns", `run-${i}`, "--dir", dir]),
  );
  for (const { code, stderr } of await Promise.all(runs)) assertEquals(code, 0, stderr);
  const latest = assertWholeSet(`${dir}/hosts/same`);
  assertMatch(latest, /^DNS:same, DNS:run-[0-3]$/);
  const before = assertWholeSet(`${dir}/previous/same`);
  assert(before !== latest);
  for (let i = 0; i < 4; i++) {
    assertEquals(assertWholeSet(`${dir}/hosts/own-${i}`), `DNS:own-${i}, DNS:run-${i}`);
  }
  assertEquals(tree(dir).filter((name) => name.startsWith(".")), [".lock"]);
});
