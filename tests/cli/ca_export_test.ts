import { assertEquals, assertStringIncludes } from "@std/assert";
import { caExport } from "../../cli/_ca_export.ts";
import { DH_GROUPS } from "../../ca/mod.ts";
import { LAYOUT_NAMES } from "../../creds/mod.ts";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { modeOf } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

Deno.test("ca export knows the layouts and groups that there are", () => {
  const choices = (name: string) => caExport.flags.find((flag) => flag.name === name)?.choices;
  assertEquals(choices("layout"), LAYOUT_NAMES);
  assertEquals(choices("dh-params"), DH_GROUPS);
});

Deno.test("ca export shows what goes where, and writes it or packs it", async () => {
  using temp = temporaryDirectory();
  await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }] });
  const cwd = temp.path;
  const shown = await virtcreds(["ca", "export", "vm1", "--layout", "libvirt"], { cwd });
  assertEquals([shown.code, shown.stderr], [0, ""]);
  assertStringIncludes(
    shown.stdout,
    "0600  root:root  /etc/pki/libvirt/private/serverkey.pem\n",
  );

  // Whatever the umask is.
  const written = await run("bash", [
    ...["-c", 'umask 077; exec "$@"', "bash", Deno.execPath(), "run", "-A"],
    ...[`--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`, "export", "vm1"],
    ...["--layout", "qemu", "--out", "creds", "--mode", "0600", "--dh-params", "ffdhe2048"],
    ...["--owner", String(Deno.uid()), "--group", String(Deno.gid())],
  ], { cwd, env: { INIT_CWD: cwd } });
  assertEquals(
    [written.code, written.stderr],
    [
      0,
      "hint: see what its reader says: deno task creds check --layout qemu creds\n",
    ],
  );
  assertEquals(modeOf(`${cwd}/creds`), 0o750);
  assertEquals(modeOf(`${cwd}/creds/server-key.pem`), 0o600);
  assertEquals(modeOf(`${cwd}/creds/dh-params.pem`), 0o644);

  const packed = await virtcreds(
    ["ca", "export", "vm1", "--layout", "vnc", "--tar", "vm1.tar"],
    { cwd },
  );
  assertEquals([packed.code, modeOf(`${cwd}/vm1.tar`)], [0, 0o600], packed.stderr);
  const listed = await run("tar", ["-tf", `${cwd}/vm1.tar`]);
  assertEquals(listed.stdout.split("\n")[0], "etc/pki/libvirt-vnc/");
  const again = await virtcreds(
    ["ca", "export", "vm1", "--layout", "vnc", "--tar", "vm1.tar"],
    { cwd },
  );
  assertEquals(again.code, 1);
  assertStringIncludes(again.stderr, "error: cannot create vm1.tar: it exists already\n");
});

Deno.test("ca export --json has one object for each file and directory", async () => {
  using temp = temporaryDirectory();
  await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }] });
  const args = ["ca", "export", "vm1", "--layout", "spice", "--json"];
  const { code, stdout, stderr } = await virtcreds(args, { cwd: temp.path });
  assertEquals([code, stderr], [0, ""]);
  const rows = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(rows.map(({ type }) => type), ["directory", "file", "file", "file"]);
  assertEquals(rows.at(-1), {
    path: "/etc/pki/libvirt-spice/server-key.pem",
    type: "file",
    mode: "0640",
    owner: { name: "root", id: 0 },
    group: { name: "qemu", id: 64055 },
    source: `${temp.path}/pki/hosts/vm1/server-key.pem`,
  });
});

const WRONG: readonly (readonly [args: readonly string[], text: string])[] = [
  [["vm1"], "missing --layout"],
  [["vm1", "--layout", "xen"], "--layout does not take 'xen'"],
  [["vm1", "--layout", "qemu", "--out", "x", "--tar", "y"], "give --out or --tar, not both"],
  [["vm1", "--layout", "qemu", "--place", "/x"], "--place is for --tar"],
  [["vm1", "--layout", "qemu", "--tar", "-", "--json"], "--json is not for --tar"],
  [["vm1", "--layout", "qemu", "--mode", "0888"], "--mode takes permissions"],
  [["vm1", "--layout", "qemu", "--mode", "0040"], "--mode takes permissions"],
  [["vm1", "--layout", "nbd", "--dh-params", "ffdhe2048"], "cannot use --dh-params"],
];

Deno.test("ca export ends with 2 for flags that do not go together", async (t) => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }] });
  for (const [args, text] of WRONG) {
    await t.step(args.join(" "), async () => {
      const { code, stderr } = await runHere(CA, ["export", ...args, "--dir", dir]);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, `error: ${text}`);
      assertStringIncludes(stderr, "hint: ");
    });
  }
});

Deno.test("ca export --out shows the modes and owners that were set", async () => {
  using temp = temporaryDirectory();
  await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }] });
  const cwd = temp.path;
  Deno.mkdirSync(`${cwd}/out`);
  Deno.chmodSync(`${cwd}/out`, 0o711);
  const args = ["ca", "export", "vm1", "--layout", "qemu", "--out", "out"];
  const text = await virtcreds(args, { cwd });
  const json = await virtcreds([...args, "--json"], { cwd });
  assertEquals([text.code, json.code], [0, 0], text.stderr + json.stderr);
  const rows = text.stdout.trimEnd().split("\n").slice(1).map((row) => row.split(/ +/));
  const objects = json.stdout.trimEnd().split("\n").map((row) => JSON.parse(row));
  assertEquals([rows.length, rows[0]![0]], [7, "0711"]);
  for (const [i, [mode, owner, path]] of rows.entries()) {
    const real = await run("stat", ["-c", "%a %U:%G %u %g", `${cwd}/${path}`]);
    const [bits, names, uid, gid] = real.stdout.trim().split(" ");
    assertEquals([mode, owner], [bits!.padStart(4, "0"), names], path);
    const { mode: has, owner: user, group } = objects[i];
    assertEquals([has, user.id, group.id], [mode, Number(uid), Number(gid)]);
  }
});

Deno.test("ca export hands out no key that is not the certificate's", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1" }, { name: "vm2" }] });
  Deno.copyFileSync(`${pki.host("vm2")}/client-key.pem`, `${pki.host("vm1")}/client-key.pem`);
  const args = ["ca", "export", "vm1", "--layout", "qemu", "--out", "out"];
  const { code, stdout, stderr } = await virtcreds(args, { cwd: temp.path });
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(
    stderr,
    "error: cannot export the credentials of vm1: its client-key.pem is not the key of its client-cert.pem\n",
  );
  assertStringIncludes(stderr, "hint: new keys and certificates for it: deno task ca renew vm1");
  assertEquals([...Deno.readDirSync(temp.path)].map(({ name }) => name), ["pki"]);
});

Deno.test("ca export says of keys that never left their host where they belong there", async () => {
  using temp = temporaryDirectory();
  await makePki(`${temp.path}/pki`, { hosts: [] });
  const cwd = temp.path;
  for (
    const args of [
      ["request", "vm1", "--role", "server"],
      ["sign", "requests/vm1/request.pem", "--host", "vm1"],
    ]
  ) {
    const { code, stderr } = await virtcreds(["ca", ...args], { cwd });
    assertEquals(code, 0, stderr);
  }
  const { code, stdout, stderr } = await virtcreds(
    ["ca", "export", "vm1", "--layout", "libvirt"],
    { cwd },
  );
  assertEquals(code, 0, stderr);
  assertEquals(stderr.split("\n").slice(0, 2), [
    "note: vm1 has no client-cert.pem, client-key.pem: what needs them will not find them",
    "note: server-key.pem is on the host alone, where it has to be /etc/pki/libvirt/private/serverkey.pem",
  ]);
  assertEquals(/serverkey/.test(stdout), false);
});
