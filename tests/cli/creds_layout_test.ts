import { assertEquals, assertStringIncludes } from "@std/assert";
import { findLayout, type Layout, LIBVIRT_PROFILES, type Verdict } from "../../creds/mod.ts";
import { virtcreds } from "../support/command.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CREDS } from "../../cli/creds.ts";
import { runHere } from "./run_here.ts";

const HOME = "/home/tester";
/** Deno's cache is below the home that the tests have. */
const DENO_DIR = Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`;

const check = (root: string, ...args: readonly string[]) =>
  virtcreds(["creds", "check", ...args], { cwd: root, env: { HOME, DENO_DIR } });

const parse = (stdout: string): Verdict[] =>
  stdout.trim().split("\n").map((line) => JSON.parse(line));

const makeHost = (dir: string): Promise<Pki> =>
  makePki(`${dir}/pki`, { hosts: [{ name: "vm1.example" }] });

/** Lays a host's files below a root as a layout has them. */
function lay(root: string, layout: Layout, host: string, place = layout.place): string {
  const dir = `${root}${place.replace("~", HOME)}`;
  for (const { path, mode } of layout.directories) {
    Deno.mkdirSync(`${dir}/${path}`, { recursive: true });
    Deno.chmodSync(`${dir}/${path}`, mode);
  }
  for (const { file, path, mode } of layout.files) {
    Deno.copyFileSync(`${host}/${file}`, `${dir}/${path}`);
    Deno.chmodSync(`${dir}/${path}`, mode);
  }
  return dir;
}

function configure(root: string, file: string, text: string): void {
  Deno.mkdirSync(`${root}/etc/libvirt`, { recursive: true });
  Deno.writeTextFileSync(`${root}/etc/libvirt/${file}`, text);
}

Deno.test("creds check --layout finds nothing to say of any layout as it should be", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  for (const name of ["libvirt", "libvirt-user", "qemu", "vnc", "spice", "nbd"]) {
    const root = `${dir.path}/${name}`;
    lay(root, findLayout(name), pki.host("vm1.example"));
    const args = ["--layout", name, "--root", root, "--format", "json", "--fail-on", "warning"];
    const { code, stdout, stderr } = await check(dir.path, ...args);
    assertEquals([name, code, stderr], [name, 0, ""], stdout);
    const verdicts = parse(stdout);
    const isLibvirt = name.startsWith("libvirt");
    assertEquals(verdicts.every(({ qemu }) => qemu.startsWith("libvirt") === isLibvirt), true);
    const roles = { vnc: ["server"], spice: ["server"], nbd: ["client"] }[name];
    assertEquals(
      [...new Set(verdicts.map(({ endpoint }) => endpoint))],
      roles ?? ["server", "client"],
    );
    // What an export wrote may be named by its root too.
    const byRoot = await check(dir.path, "--layout", name, root, "--format", "json");
    const inner = name === "libvirt-user" ? [] : parse(byRoot.stdout).map(({ ok }) => ok);
    assertEquals(inner.every(Boolean), true);
  }
});

Deno.test("creds check --layout libvirt says what virt-pki-validate would, in libvirt's names", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  const place = lay(dir.path, findLayout("libvirt"), pki.host("vm1.example"));
  Deno.chmodSync(`${place}/libvirt/private/serverkey.pem`, 0o640);
  Deno.chmodSync(`${place}/CA`, 0o700);
  Deno.removeSync(`${place}/libvirt/clientcert.pem`);
  const { code, stdout } = await check(
    dir.path,
    "--layout",
    "libvirt",
    "etc/pki",
    "--format",
    "json",
  );
  assertEquals(code, 1);
  const verdicts = parse(stdout);
  assertEquals(verdicts.length, 2 * LIBVIRT_PROFILES.length);
  const found = (role: string) =>
    verdicts.findLast(({ endpoint }) => endpoint === role)!.findings.map((one) =>
      `${one.code} ${one.file}: ${one.mend}`
    );
  assertEquals(found("server"), [
    "LAYOUT_MODE etc/pki/CA: chmod 0755 etc/pki/CA",
    "LAYOUT_MODE etc/pki/libvirt/private/serverkey.pem: chmod 0600 etc/pki/libvirt/private/serverkey.pem",
  ]);
  const client = verdicts.findLast(({ endpoint }) => endpoint === "client")!;
  assertEquals(
    client.message,
    "Certificate 'etc/pki/libvirt/clientcert.pem' does not exist, but key " +
      "'etc/pki/libvirt/private/clientkey.pem' does: No such file or directory",
  );
});

Deno.test("creds check --layout says when QEMU's account cannot read its files", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  const place = lay(dir.path, findLayout("qemu"), pki.host("vm1.example"));
  Deno.writeTextFileSync(`${dir.path}/etc/passwd`, "qemu:x:64055:64056::/:/bin/false\n");
  const args = ["--layout", "qemu", "--root", dir.path, "--qemu", "10.2", "--format", "json"];
  const { code, stdout } = await check(dir.path, ...args);
  assertEquals(code, 1);
  const [server] = parse(stdout);
  assertEquals(server!.findings.map(({ code, file }) => [code, file]), [
    ["LAYOUT_UNREADABLE", place],
    ["LAYOUT_UNREADABLE", `${place}/server-key.pem`],
  ]);
  assertStringIncludes(server!.findings[0]!.cause, "(qemu) may not enter it: ");
  Deno.writeTextFileSync(`${dir.path}/etc/passwd`, `qemu:x:64055:${Deno.gid()}::/:/bin/false\n`);
  assertEquals((await check(dir.path, ...args)).code, 0);
});

Deno.test("creds check --system finds what qemu.conf and libvirtd.conf name, and the defaults", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  const host = pki.host("vm1.example");
  const root = `${dir.path}/root`;
  lay(root, findLayout("libvirt"), host);
  lay(root, findLayout("libvirt-user"), host);
  lay(root, findLayout("qemu"), host);
  lay(root, findLayout("vnc"), host);
  lay(root, findLayout("chardev"), host, "/srv/consoles");
  configure(
    root,
    "qemu.conf",
    `# vnc_tls = 0
vnc_tls = 1
chardev_tls = 1
  chardev_tls_x509_cert_dir = "/srv/consoles"
nbd_tls = 1
cgroup_controllers = [ "cpu", "devices" ]
spice_tls_x509_cert_dir = '/etc/pki/nowhere'
`,
  );
  const { code, stdout, stderr } = await check(dir.path, "--system", "--root", root);
  assertEquals([code, stderr], [1, ""]);
  const lines = stdout.split("\n").filter((line) => /^\S|^ {2}for |refused/.test(line));
  assertEquals(lines, [
    `${root}/etc/pki`,
    "  for libvirtd, virtproxyd and virsh, by default",
    `${root}${HOME}/.pki/libvirt`,
    "  for virsh and libvirtd of a user, by default",
    `${root}/etc/pki/qemu`,
    "  for QEMU, by default and convention",
    "  for QEMU's migrate, by default_tls_x509_cert_dir",
    "  for QEMU's backup, by default_tls_x509_cert_dir",
    "  for QEMU's nbd, by default_tls_x509_cert_dir",
    `${root}/etc/pki/libvirt-vnc`,
    "  for QEMU's vnc, by its default",
    `${root}/etc/pki/nowhere`,
    "  for QEMU's spice, by spice_tls_x509_cert_dir (spice_tls is not set)",
    `  server: refused by ${LIBVIRT_PROFILES.map(({ name }) => name).join(", ")}: ` +
    "spice_tls_x509_cert_dir directory '/etc/pki/nowhere' does not exist",
    `${root}/srv/consoles`,
    "  for QEMU's chardev, by chardev_tls_x509_cert_dir",
  ]);
});

Deno.test("creds check --system names directories that are relative, and settings that are none", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  const root = `${dir.path}/img`;
  lay(root, findLayout("migrate"), pki.host("vm1.example"), "/x");
  configure(root, "qemu.conf", `migrate_tls_x509_cert_dir="../../x"\n`);
  const find = async () => {
    const { code, stdout } = await check(dir.path, "--system", "--root", root, "--format", "json");
    const found = parse(stdout).flatMap(({ findings }) => findings);
    return [code, [...new Set(found.map((one) => `${one.code} ${one.file}: ${one.message}`))]];
  };
  const relative = `CONF_RELATIVE ${root}/x: `;
  assertEquals(await find(), [0, [relative]]);
  const rows: readonly (readonly [file: string, text: string | Uint8Array, fault: string])[] = [
    ["qemu.conf", "# a\nvnc_tls = \n", ":2: expecting a value"],
    ["qemu.conf", 'x = [ "a",\n  "b" ]\n?\n', ":3: expecting a name"],
    ["libvirtd.conf", Uint8Array.of(0xff, 0, 0x93, 10, 7, 0xfe), ":1: expecting a name"],
  ];
  for (const [file, text, fault] of rows) {
    configure(root, "qemu.conf", 'a = [ "b",\n "c" ] # d\n\n');
    const path = `${root}/etc/libvirt/${file}`;
    if (typeof text === "string") Deno.writeTextFileSync(path, text);
    else Deno.writeFileSync(path, text);
    const message = `configuration file syntax error: ${path}${fault}`;
    assertEquals(await find(), [1, [`CONF_DAMAGED ${path}: ${message}`]]);
    Deno.removeSync(path);
  }
});

Deno.test("creds check --system reads the files that libvirtd.conf names, and both roles that are needed", async () => {
  using dir = temporaryDirectory();
  const pki = await makeHost(dir.path);
  const host = pki.host("vm1.example");
  const root = `${dir.path}/root`;
  lay(root, findLayout("vnc"), host, "/srv/tls");
  lay(root, findLayout("nbd"), host);
  Deno.renameSync(`${root}/etc/pki/libvirt-nbd`, `${root}/etc/pki/libvirt-backup`);
  configure(
    root,
    "libvirtd.conf",
    `ca_file = "/srv/tls/ca-cert.pem"
cert_file = "/srv/tls/server-cert.pem"
key_file = "/srv/tls/server-key.pem"
`,
  );
  const args = ["--system", "--root", root, "--format", "json", "--qemu", "10.2"];
  const { code, stdout } = await check(dir.path, ...args);
  assertEquals(code, 1);
  const seen = parse(stdout).map(({ dir, endpoint, ok }) => [dir.slice(root.length), endpoint, ok]);
  assertEquals(seen, [
    ["/etc/pki", "server", true],
    ["/etc/pki/libvirt-backup", "client", true],
    ["/etc/pki/libvirt-backup", "server", false],
  ]);
});

Deno.test("creds check --system ends with 1 where nothing is set up, and refuses odd flags", async () => {
  using dir = temporaryDirectory();
  const none = await check(dir.path, "--system", "--root", dir.path);
  assertEquals([none.code, none.stdout], [1, ""]);
  assertStringIncludes(none.stderr, "nothing is set up");
  const rows: readonly (readonly [args: readonly string[], text: string])[] = [
    [["--system", "x"], "--system looks in all places"],
    [["--system", "--layout", "vnc"], "--system looks in all places"],
    [["--root", "x", "y"], "--root goes with --layout or --system"],
    [["--layout", "vnc", "--root", "x", "y"], "--root and DIR are two ways"],
    [["--layout", "xen"], "--layout does not take 'xen'"],
    [[], "missing DIR"],
  ];
  for (const [args, text] of rows) {
    const { code, stderr } = await runHere(CREDS, ["check", ...args]);
    assertEquals(code, 2, args.join(" "));
    assertStringIncludes(stderr, text);
  }
});
