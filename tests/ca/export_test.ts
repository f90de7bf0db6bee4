import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CaError,
  checkExport,
  type ExportOptions,
  packExport,
  planExport,
  revokeCertificates,
  writeExport,
} from "../../ca/mod.ts";
import { encodeTar } from "../../ca/tar.ts";
import { LAYOUTS } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { modeOf } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** A CA with one host for each thing that an export can stumble over. */
async function makeHosts(temp: string): Promise<string> {
  const { dir } = await makePki(`${temp}/pki`, {
    hosts: [
      { name: "vm1" },
      { name: "server", roles: ["server"] },
      { name: "client", roles: ["client"] },
      { name: "old", clock: daysFromNow(-400) },
    ],
  });
  return dir;
}

for (const { name, files, directories } of LAYOUTS) {
  Deno.test(`planExport() has each file of the layout ${name} with the bytes of the host's set`, async () => {
    using temp = temporaryDirectory();
    const dir = await makeHosts(temp.path);
    const { entries, missing } = planExport({ dir, host: "vm1", layout: name });
    assertEquals(missing, []);
    assertEquals(
      entries.map(({ path }) => path),
      [...directories, ...files].map(({ path }) => path),
    );
    for (const { path, file } of files) {
      const entry = entries.find((one) => one.path === path);
      assertEquals(entry?.source, `${dir}/hosts/vm1/${file}`);
      assertEquals(entry?.data, Deno.readFileSync(`${dir}/hosts/vm1/${file}`));
    }
  });
}

Deno.test("planExport() takes the owner, group and mode that it is given", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const options = { dir, host: "vm1", layout: "qemu" };
  const { entries } = planExport({ ...options, owner: "kvm", group: "107", keyMode: 0o400 });
  for (const { path, owner, group, mode } of entries) {
    assertEquals([owner, group], [{ name: "kvm", id: 0 }, { name: "", id: 107 }]);
    assertEquals(mode === 0o400, path.endsWith("-key.pem"), path);
  }
});

Deno.test("planExport() says what the host's set lacks, and whether it has expired", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const server = planExport({ dir, host: "server", layout: "libvirt" });
  assertEquals(server.missing, ["client-cert.pem", "client-key.pem"]);
  assertEquals(server.expired, false);
  assertEquals(planExport({ dir, host: "old", layout: "qemu" }).expired, true);
});

const REFUSED: readonly (readonly [
  options: Omit<ExportOptions, "dir">,
  code: CaError["code"],
  text: string,
])[] = [
  [{ host: "nobody", layout: "qemu" }, "HOST_UNKNOWN", "nothing was issued for nobody"],
  [{ host: "../vm1", layout: "qemu" }, "HOST_NAME", "'../vm1' is not a host name"],
  [{ host: "revoked", layout: "qemu" }, "EXPORT", "of revoked: it is revoked"],
  [{ host: "damaged", layout: "qemu" }, "EXPORT", "damaged/server-cert.pem"],
  [{ host: "client", layout: "vnc" }, "EXPORT", "it was issued for as a client alone"],
  [{ host: "locked", layout: "libvirt" }, "EXPORT", "its keys are encrypted, and libvirtd"],
  [
    { host: "vm1", layout: "spice", dhParams: "ffdhe2048" },
    "EXPORT_OPTION",
    "cannot use --dh-params: QEMU's SPICE server would not read dh-params.pem",
  ],
  [{ host: "vm1", layout: "qemu", owner: "a:b" }, "ACCOUNT", "--owner 'a:b' cannot be used"],
  [{ host: "vm1", layout: "qemu", group: "99999999" }, "ACCOUNT", "--group '99999999' cannot"],
  [{ host: "vm1", layout: "qemu", place: "/srv/../etc" }, "EXPORT_OPTION", "cannot use --place"],
  [{ host: "vm1", layout: "qemu", place: "/" }, "EXPORT_OPTION", "cannot use --place"],
  ...["", "relative", "./etc/pki", "~", "~/", "~root/pki"].map((place) =>
    [{ host: "vm1", layout: "qemu", place }, "EXPORT_OPTION", "neither at / nor at ~/"] as const
  ),
];

Deno.test("planExport() refuses what could only disappoint on the host", async (t) => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const engine = await chooseEngine();
  const { issueHosts } = await import("../../ca/mod.ts");
  await issueHosts([{ host: "revoked" }, { host: "damaged" }], { dir, engine });
  await issueHosts([{ host: "locked" }], { dir, engine, hostPassphrase: "x" });
  await revokeCertificates(["revoked"], "superseded", { dir, engine });
  Deno.writeTextFileSync(`${dir}/hosts/damaged/server-cert.pem`, "x");
  for (const [options, code, text] of REFUSED) {
    await t.step(`${code} for ${JSON.stringify(options)}`, () => {
      const error = assertThrows(() => planExport({ dir, ...options }), CaError, text);
      assertEquals(error.code, code);
      assert(error.hints.length > 0);
    });
  }
  // QEMU takes a passphrase where libvirt does not.
  assertEquals(planExport({ dir, host: "locked", layout: "qemu" }).encrypted, true);
});

/** What is done to a host's set, the layout, and what of it the text says. */
const BROKEN: readonly (readonly [
  layout: string,
  breaking: (host: string, other: string) => void,
  text: string,
])[] = [
  ["qemu", (host) => Deno.removeSync(`${host}/server-key.pem`), "server-key.pem is missing"],
  ["nbd", (host) => Deno.removeSync(`${host}/client-key.pem`), "client-key.pem is missing"],
  ["qemu", (host) => Deno.removeSync(`${host}/client-cert.pem`), "client-cert.pem is missing"],
  ["spice", (host) => Deno.removeSync(`${host}/ca-cert.pem`), "ca-cert.pem is missing"],
  [
    "libvirt",
    (host, other) => Deno.copyFileSync(`${other}/client-key.pem`, `${host}/client-key.pem`),
    "its client-key.pem is not the key of its client-cert.pem",
  ],
  [
    "vnc",
    (host, other) => Deno.copyFileSync(`${other}/server-key.pem`, `${host}/server-key.pem`),
    "its server-key.pem is not the key of its server-cert.pem",
  ],
  [
    "qemu",
    (host) => Deno.copyFileSync(`${host}/server-cert.pem`, `${host}/server-key.pem`),
    "hosts/vm1/server-key.pem",
  ],
];

Deno.test("checkExport() and planExport() hand out no set that is broken", async (t) => {
  using temp = temporaryDirectory();
  const engine = await chooseEngine();
  const dir = await makeHosts(temp.path);
  const [host, other] = [`${dir}/hosts/vm1`, `${temp.path}/pki/hosts/old`];
  const kept = [...Deno.readDirSync(host)].map(({ name }) => {
    return [`${host}/${name}`, Deno.readFileSync(`${host}/${name}`)] as const;
  });
  for (const [layout, breaking, text] of BROKEN) {
    await t.step(`${layout}: ${text}`, async () => {
      breaking(host, other);
      const error = await assertRejects(
        async () => await checkExport(planExport({ dir, host: "vm1", layout }), { engine }),
        CaError,
        text,
      );
      assertEquals(error.code, "EXPORT");
      assert(error.hints[0]?.includes(`ca renew vm1 --dir ${dir} --rekey`), error.hints[0]);
      for (const [file, bytes] of kept) Deno.writeFileSync(file, bytes);
    });
  }
  // The one half that a layout leaves out may be as it will.
  Deno.removeSync(`${host}/client-key.pem`);
  await checkExport(planExport({ dir, host: "vm1", layout: "vnc" }), { engine });
  for (const [name, layout] of [["old", "libvirt"], ["server", "qemu"], ["client", "nbd"]]) {
    await checkExport(planExport({ dir, host: name!, layout: layout! }), { engine });
  }
});

Deno.test("checkExport() takes keys that are encrypted, and those of a strict profile", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const engine = await chooseEngine();
  const { issueHosts } = await import("../../ca/mod.ts");
  await issueHosts([{ host: "locked" }], { dir, engine, hostPassphrase: "x" });
  await issueHosts([{ host: "strict", profile: "strict" }], { dir, engine });
  for (const [host, layout] of [["locked", "qemu"], ["strict", "qemu"], ["strict", "libvirt"]]) {
    await checkExport(planExport({ dir, host: host!, layout: layout! }), { engine });
  }
});

Deno.test("packExport() gives the same bytes for the same set, at the place that is asked for", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const pack = (place?: string) =>
    packExport(planExport({ dir, host: "vm1", layout: "libvirt-user", place }));
  assertEquals(pack(), pack());
  assertEquals([pack().root, pack("/srv//tls/").root], ["~", "/"]);
  assertEquals(pack("~//.pki/libvirt/"), pack());
  const text = new TextDecoder("latin1").decode(pack("/srv//tls/").bytes);
  assert(text.startsWith("srv/tls/\0"), text.slice(0, 100));
  const long = `/${"x".repeat(99)}/${"y".repeat(99)}`;
  assertThrows(() => pack(long), CaError, "an archive has no room for so long a path");
});

Deno.test("encodeTar() parts a long path at a slash, and refuses what has no room", () => {
  const account = { name: "root", id: 0 };
  const entry = { mode: 0o644, owner: account, group: account, modified: new Date(0) };
  const data = new Uint8Array(513);
  const [folder, name] = ["f".repeat(120), "n".repeat(90)];
  const archive = encodeTar([{ ...entry, path: `${folder}/${name}`, data }]);
  assertEquals(archive.length, 512 + 1024 + 1024);
  const text = new TextDecoder("latin1").decode(archive);
  assertEquals([text.slice(0, 91), text.slice(345, 466)], [`${name}\0`, `${folder}\0`]);
  assertThrows(() => encodeTar([{ ...entry, path: "x".repeat(200), data }]), RangeError);
  const owner = { name: "o".repeat(33), id: 0 };
  assertThrows(() => encodeTar([{ ...entry, path: "x", data, owner }]), RangeError);
});

Deno.test("writeExport() makes files and directories with their modes", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const plan = planExport({ dir, host: "vm1", layout: "libvirt" });
  const out = `${temp.path}/new/etc/pki`;
  const written = writeExport(plan, `${out}/`);
  assertEquals([written.modes, written.stale], [[], []]);
  assertEquals(written.files.length, 6);
  for (const { path, mode } of plan.entries) assertEquals(modeOf(`${out}/${path}`), mode, path);
});

Deno.test("writeExport() replaces what an earlier export wrote, and names what it leaves", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const out = `${temp.path}/out`;
  const plan = (host: string, dhParams?: "ffdhe2048") =>
    planExport({ dir, host, layout: "qemu", dhParams });
  writeExport(plan("vm1", "ffdhe2048"), out);
  Deno.chmodSync(out, 0o755);
  // What a killed one left.
  Deno.writeTextFileSync(`${out}/.server-key.pem.new`, "x");
  const written = writeExport(plan("server"), out);
  assertEquals(written.modes, [{ path: out, has: 0o755, wants: 0o750 }]);
  assertEquals(
    written.stale,
    ["client-cert.pem", "client-key.pem", "dh-params.pem"].map((name) => `${out}/${name}`),
  );
  for (const name of ["ca-crl.pem", "server-cert.pem", "server-key.pem"]) {
    const [has, wants] = [out, `${dir}/hosts/server`].map((at) =>
      Deno.readTextFileSync(`${at}/${name}`)
    );
    assertEquals(has, wants);
  }
  assertEquals([...Deno.readDirSync(out)].filter(({ name }) => name.startsWith(".")), []);
});

Deno.test("writeExport() follows a link to its directory, but none inside it", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const plan = planExport({ dir, host: "vm1", layout: "libvirt" });
  const [elsewhere, real, out] = ["elsewhere", "real", "out"].map((name) => `${temp.path}/${name}`);
  Deno.mkdirSync(elsewhere!);
  Deno.mkdirSync(`${real}/CA`, { recursive: true });
  Deno.symlinkSync(real!, out!);
  Deno.symlinkSync(`${elsewhere}/file`, `${real}/CA/cacert.pem`);
  writeExport(plan, out!);
  assertEquals(Deno.lstatSync(`${real}/CA/cacert.pem`).isFile, true);
  Deno.removeSync(`${real}/libvirt`, { recursive: true });
  Deno.symlinkSync(elsewhere!, `${real}/libvirt`);
  assertThrows(() => writeExport(plan, out!), CaError, "it is a symbolic link");
  assertEquals([...Deno.readDirSync(elsewhere!)], []);
});

Deno.test("writeExport() writes nothing into the authority's own directory", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const host = `${dir}/hosts/vm1`;
  const snapshot = () =>
    [dir, host].map((path) => {
      const names = [...Deno.readDirSync(path)].map(({ name }) => name).sort();
      return names.map((name) => [name, modeOf(`${path}/${name}`)]);
    });
  const before = snapshot();
  Deno.symlinkSync(dir, `${temp.path}/link`);
  Deno.mkdirSync(`${temp.path}/up`);
  Deno.symlinkSync(`${dir}/hosts`, `${temp.path}/up/libvirt`);
  const places = [
    [dir, "qemu"],
    [`${dir}/`, "qemu"],
    [host, "qemu"],
    [`${dir}/new/er`, "qemu"],
    [`${temp.path}/link`, "qemu"],
    [`${temp.path}/link/hosts/vm1`, "vnc"],
    [`${temp.path}/new/../pki/hosts`, "qemu"],
    [`${temp.path}/up`, "libvirt"],
  ] as const;
  for (const [out, layout] of places) {
    const plan = planExport({ dir, host: "vm1", layout });
    const { code } = assertThrows(() => writeExport(plan, out), CaError, "the CA's own directory");
    assertEquals([code, snapshot()], ["EXPORT_OPTION", before], out);
  }
  writeExport(planExport({ dir, host: "vm1", layout: "qemu" }), `${dir}-exported`);
});

Deno.test("writeExport() leaves all as it was where one file cannot be made", async () => {
  using temp = temporaryDirectory();
  const dir = await makeHosts(temp.path);
  const out = `${temp.path}/out`;
  writeExport(planExport({ dir, host: "vm1", layout: "qemu" }), out);
  const before = Deno.readTextFileSync(`${out}/server-cert.pem`);
  const plan = planExport({ dir, host: "server", layout: "qemu", owner: "nobody-at-all" });
  assertThrows(
    () => writeExport(plan, out, ["--owner"]),
    CaError,
    "/etc/passwd of this machine does not",
  );
  assertEquals(Deno.readTextFileSync(`${out}/server-cert.pem`), before);
  assertThrows(
    () => writeExport(planExport({ dir, host: "vm1", layout: "qemu" }), `${out}/ca-cert.pem`),
    CaError,
    "it is a file, not a directory",
  );
});

Deno.test({
  name: "writeExport() gives the files to whom root says",
  ignore: Deno.build.os === "windows" || Deno.uid() !== 0,
  async fn() {
    using temp = temporaryDirectory();
    const dir = await makeHosts(temp.path);
    const out = `${temp.path}/out`;
    const options = { dir, host: "vm1", layout: "qemu" };
    const of = (name: string) => {
      const { uid, gid } = Deno.statSync(`${out}/${name}`);
      return [uid, gid];
    };
    const plain = writeExport(planExport(options), out);
    const [uid, gid] = of("server-key.pem");
    assertEquals(uid, 0);
    assertEquals(plain.unowned === "unknown", gid === 0);
    writeExport(planExport({ ...options, owner: "nobody", group: "12345" }), out, [
      "--owner",
      "--group",
    ]);
    assertEquals(of("ca-cert.pem"), [65_534, 12_345]);
    assertEquals(of("client-key.pem"), [65_534, 12_345]);
  },
});
