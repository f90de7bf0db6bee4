import { assert, assertEquals } from "@std/assert";
import { planExport, writeExport } from "../../ca/mod.ts";
import { checkCredentials, type CheckOptions, findLayout, placeLayout } from "../../creds/mod.ts";
import { makePki } from "../support/pki.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const [engine] = await enginesHere();

async function mendsOf(
  dir: string,
  code: string,
  options: Partial<CheckOptions> = {},
): Promise<string[]> {
  const verdicts = await checkCredentials(dir, { engine: engine!, ...options });
  const found = verdicts.flatMap(({ findings }) => findings.filter((one) => one.code === code));
  return [...new Set(found.map(({ mend }) => mend))];
}

Deno.test("checkCredentials() mends an authority that has expired or soon will with ca renew", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1.example" }], days: 400 });
  const host = pki.host("vm1.example");
  const mend = `deno task ca renew --all --ca --dir ${pki.dir}`;
  const clock = () => new Date(Date.now() + 500 * 86_400_000);
  assertEquals(await mendsOf(host, "CA_EXPIRED", { clock }), [mend]);
  const expiresIn = 450 * 86_400_000;
  assertEquals(await mendsOf(host, "CA_EXPIRES_SOON", { expiresIn }), [mend]);
});

Deno.test("checkCredentials() mends a missing authority with a copy under the layout's own name", async () => {
  using temp = temporaryDirectory();
  for (const [name, file] of [["libvirt", "CA/cacert.pem"], ["libvirt-user", "cacert.pem"]]) {
    const root = `${temp.path}/${name}`;
    const placed = placeLayout(findLayout(name!), { root, home: "/home/tester" });
    Deno.mkdirSync(placed.dir, { recursive: true });
    const mends = await mendsOf(placed.dir, "FILE_MISSING", { placed, endpoint: "client" });
    assertEquals(mends, [`cp pki/ca-cert.pem ${placed.dir}/${file}`]);
  }
  // A configuration may name any file.
  const libvirt = placeLayout(findLayout("libvirt"), { root: temp.path });
  const paths = { ...libvirt.paths, "ca-cert.pem": `${temp.path}/srv/root.crt` };
  const placed = { ...libvirt, paths };
  assertEquals(await mendsOf(libvirt.dir, "FILE_MISSING", { placed, endpoint: "client" }), [
    `cp pki/ca-cert.pem ${temp.path}/srv/root.crt`,
  ]);
});

Deno.test("checkCredentials() mends a layout's files with an export behind what makes them", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1.example", dns: ["vm1"] }] });
  const plan = planExport({ dir: pki.dir, host: "vm1.example", layout: "libvirt" });
  writeExport(plan, `${temp.path}/etc/pki`);
  const placed = placeLayout(findLayout("libvirt"), { root: temp.path });
  const { dir } = placed;
  const mend = `deno task ca export vm1.example --layout libvirt --out ${dir}`;
  const issue = "deno task ca issue vm1.example --dns vm1";
  const options = { placed, endpoint: "server" } as const;
  const wanted = { ...options, hostnames: ["vm2"] };
  assertEquals(await mendsOf(dir, "HOSTNAME_MISMATCH", wanted), [
    `${issue} --dns vm2 && ${mend}`,
  ]);
  const clock = () => new Date(Date.now() + 370 * 86_400_000);
  assertEquals(await mendsOf(dir, "CERT_EXPIRED", { ...options, clock }), [
    `deno task ca renew vm1.example && ${mend}`,
  ]);
  Deno.writeTextFileSync(placed.paths["server-key.pem"]!, "junk");
  assertEquals(await mendsOf(dir, "KEY_DAMAGED", options), [`${issue} && ${mend}`]);
  // Where a setting names a file no export writes there.
  const other = { ...placed, paths: { ...placed.paths, "ca-crl.pem": `${temp.path}/crl` } };
  assertEquals(await mendsOf(dir, "KEY_DAMAGED", { ...options, placed: other }), [issue]);
});

Deno.test("checkCredentials() issues anew for a host that a certificate names, never for a directory", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "vm1.example" }, { name: "192.0.2.9" }],
  });
  for (const [host, name] of [["vm1.example", "vm1.example"], ["192.0.2.9", "192.0.2.9"]]) {
    const dir = `${temp.path}/${host}/libvirt-vnc`;
    Deno.mkdirSync(dir, { recursive: true });
    for (const file of ["ca-cert.pem", "server-cert.pem", "server-key.pem", "client-cert.pem"]) {
      Deno.copyFileSync(`${pki.host(host!)}/${file}`, `${dir}/${file}`);
    }
    // The client's certificate beside it still says whose it is.
    Deno.writeTextFileSync(`${dir}/server-cert.pem`, "junk");
    const damaged = await mendsOf(dir, "CERT_DAMAGED", { endpoint: "server" });
    assertEquals(damaged, [`deno task ca issue ${name}`]);
    Deno.removeSync(`${dir}/client-cert.pem`);
    const alone = await mendsOf(dir, "CERT_DAMAGED", { endpoint: "server" });
    assertEquals(alone, ["deno task ca issue HOST"]);
  }
  for (const dir of [`${temp.path}/qemu`, `${temp.path}/pki2/hosts/<b>x`, `${temp.path}/<b>x`]) {
    Deno.mkdirSync(dir, { recursive: true });
    const missing = await mendsOf(dir, "FILE_MISSING", { endpoint: "server" });
    assert(missing.some((mend) => mend.startsWith("deno task ca issue HOST")), missing.join());
    assert(missing.every((mend) => !/ca issue (?!HOST)/.test(mend)), missing.join());
  }
});

Deno.test("checkCredentials() takes no name from a certificate of another host", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "vm1.example", dns: ["vm1"] }, { name: "vm2.example", dns: ["vm2"] }],
  });
  const dir = pki.host("vm1.example");
  Deno.copyFileSync(`${pki.host("vm2.example")}/server-cert.pem`, `${dir}/server-cert.pem`);
  const mends = await mendsOf(dir, "KEY_MISMATCH", { endpoint: "server" });
  assertEquals(mends, [`deno task ca issue vm1.example --dir ${pki.dir} --dns vm1`]);
});
