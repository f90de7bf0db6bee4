import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import {
  CaError,
  finishRotation,
  initAuthority,
  issueHost,
  issueRotation,
  publishCrl,
  renewHosts,
  revokeCertificates,
  startRotation,
  verifyLog,
} from "../../ca/mod.ts";
import { checkCredentials, parseCertificate, parseCrl } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { daysFromNow } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { assertAllMeet, meet, takeSnapshots } from "./fleet_snapshots.ts";

const engine = await chooseEngine();
const HOSTS = ["a", "b"];

/** An issuing CA under a root, and two hosts. */
async function makeHierarchy(path: string, passphrase?: string) {
  const [dir, root] = [`${path}/pki`, { dir: `${path}/root`, passphrase }];
  const made = await initAuthority({ dir, engine, root });
  for (const host of HOSTS) await issueHost({ dir, engine, host });
  return { dir, root, made };
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((one) => one.name).sort();
}

function subjects(file: string): string[] {
  return decodePem(Deno.readTextFileSync(file))
    .map(({ der }) => parseCertificate(der).subject.text);
}

async function assertAccepted(dir: string): Promise<void> {
  for (const verdict of await checkCredentials(dir, { engine })) {
    const found = verdict.findings.map(({ code }) => code);
    assertEquals([verdict.qemu, verdict.ok, found], [verdict.qemu, true, []]);
  }
}

Deno.test("initAuthority() makes an issuing CA whose hosts every line of QEMU takes", async () => {
  using temp = temporaryDirectory();
  const { dir, made } = await makeHierarchy(temp.path, "of the root");
  assertEquals(made.root, {
    dir: `${temp.path}/root`,
    name: "CN=virtcreds root CA",
    isNew: true,
  });
  const host = `${dir}/hosts/a`;
  assertEquals(subjects(`${host}/ca-cert.pem`), ["CN=virtcreds CA", "CN=virtcreds root CA"]);
  assertEquals(subjects(`${host}/server-cert.pem`), ["O=virtcreds CA,CN=a", "CN=virtcreds CA"]);
  assertEquals(
    decodePem(Deno.readTextFileSync(`${host}/ca-crl.pem`))
      .map(({ der }) => parseCrl(der).issuer.text),
    ["CN=virtcreds CA", "CN=virtcreds root CA"],
  );
  await assertAccepted(host);
  assertWholeSet(host);
  const issuing = parseCertificate(
    decodePem(Deno.readTextFileSync(`${dir}/ca-cert.pem`))[0]!.der,
  );
  assertEquals(issuing.basicConstraints?.pathLength, 0);
  const second = await initAuthority({
    dir: `${temp.path}/two`,
    name: "Rack 2",
    engine,
    root: { dir: `${temp.path}/root`, passphrase: "of the root" },
  });
  assertEquals(second.root?.isNew, false);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("an issuing CA is renewed by its root alone, and all that it issued goes on", async () => {
  using temp = temporaryDirectory();
  const { dir, root } = await makeHierarchy(temp.path);
  const all = { dir, engine, selection: { kind: "all" }, authority: true } as const;
  await assertRejects(() => renewHosts(all), CaError, "CN=virtcreds root CA has to sign");
  await initAuthority({ dir: `${temp.path}/other`, engine });
  await assertRejects(
    () => renewHosts({ ...all, root: { dir: `${temp.path}/other` } }),
    CaError,
    "it has CN=virtcreds CA, and CN=virtcreds root CA has to sign",
  );
  const snapshots = takeSnapshots(dir, HOSTS, "before", temp.path);
  const one = { ...all, selection: { kind: "hosts", hosts: ["a"] } } as const;
  await renewHosts({ ...one, root });
  snapshots.push(...takeSnapshots(dir, HOSTS, "renewed", temp.path));
  await assertAllMeet(snapshots, engine);
  const late = daysFromNow(3640 * 2 / 3);
  await renewHosts({ ...all, root, clock: late });
  for (const host of HOSTS) assertWholeSet(`${dir}/hosts/${host}`);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
  assertEquals((await verifyLog({ dir: root.dir, engine })).faults, []);
});

Deno.test("initAuthority() refuses a root that may not sign a CA", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makeHierarchy(temp.path);
  const below = `${temp.path}/below`;
  const error = await assertRejects(
    () => initAuthority({ dir: below, engine, root: { dir } }),
    CaError,
    "CN=virtcreds CA has path length 0, which allows no CA below it",
  );
  assertEquals(error.code, "ROOT");
  assertEquals(names(temp.path), ["pki", "root"]);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("initAuthority() makes no root where there is nothing around it, and refuses a typo", async () => {
  using temp = temporaryDirectory();
  const [dir, root] = [`${temp.path}/pki`, `${temp.path}/media/root`];
  const init = () => initAuthority({ dir, engine, root: { dir: root } });
  const error = await assertRejects(init, CaError, `no directory ${temp.path}/media to make one`);
  assertMatch(String(error.hints), /mount the medium/);
  assertEquals(names(temp.path), []);
  Deno.mkdirSync(`${temp.path}/media`);
  assertEquals((await init()).root?.isNew, true);
});

Deno.test("publishCrl() takes no other root's list, and none where no root is", async () => {
  using temp = temporaryDirectory();
  const { dir, root } = await makeHierarchy(temp.path);
  Deno.mkdirSync(`${temp.path}/other`);
  const other = await makeHierarchy(`${temp.path}/other`);
  const read = () => Deno.readTextFileSync(`${other.root.dir}/ca-crl.pem`);
  const before = read();
  const publish = (at: string, of: string) => publishCrl({ dir: at, engine, root: { dir: of } });
  await assertRejects(() => publish(dir, other.root.dir), CaError, "has another key than the one");
  await assertRejects(() => publish(dir, other.dir), CaError, "has to sign");
  await assertRejects(() => publish(root.dir, other.root.dir), CaError, "signs itself, no root");
  assertEquals(read(), before);
  await publish(dir, root.dir);
});

Deno.test("an issuing CA rolls over to another one of its root, whatever files hosts have", async () => {
  using temp = temporaryDirectory();
  const { dir, root } = await makeHierarchy(temp.path);
  const snapshots = takeSnapshots(dir, HOSTS, "before", temp.path);
  const keep = (moment: string) => snapshots.push(...takeSnapshots(dir, HOSTS, moment, temp.path));
  await assertRejects(() => startRotation({ dir, engine }), CaError, "has to sign");
  await assertRejects(
    () => startRotation({ dir: root.dir, engine }),
    CaError,
    "it is the root of CN=virtcreds CA",
  );
  const old = parseCertificate(decodePem(Deno.readTextFileSync(`${dir}/ca-cert.pem`))[0]!.der);
  await startRotation({ dir, engine, root });
  keep("started");
  await issueRotation({ dir, engine, hosts: ["b"] });
  keep("issued in part");
  await issueRotation({ dir, engine });
  keep("issued");
  const { dropped } = await finishRotation({ dir, engine });
  assertEquals(dropped?.serial, old.serial.toHex().replace(/^00/, ""));
  keep("finished");
  // The root is all that a peer has to trust, so even the files of the beginning still do.
  await assertAllMeet(snapshots, engine);
  for (const [client, server] of [[0, 7], [7, 0], [2, 9], [9, 8]] as const) {
    assertEquals(await meet(snapshots[client]!, snapshots[server]!, engine), ["", ""]);
  }
  await revokeCertificates([old.serial.toHex().replace(/^00/, "")], "superseded", {
    dir: root.dir,
    engine,
  });
  await publishCrl({ dir, engine, root });
  keep("revoked");
  const said = await meet(snapshots[0]!, snapshots.at(-1)!, engine);
  assertEquals(said, ["", "The certificate has been revoked"]);
  assertEquals(await meet(snapshots.at(-1)!, snapshots.at(-2)!, engine), ["", ""]);
  for (const host of HOSTS) await assertAccepted(`${dir}/hosts/${host}`);
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

programTest("openssl takes what an issuing CA issued by the root alone, with both CRLs", [
  "openssl",
], async () => {
  using temp = temporaryDirectory();
  const { dir, root } = await makeHierarchy(temp.path);
  const { code, stderr } = await run("openssl", [
    ...["verify", "-x509_strict", "-crl_check_all", "-purpose", "sslserver"],
    ...["-CAfile", `${root.dir}/ca-cert.pem`, "-untrusted", `${dir}/hosts/a/server-cert.pem`],
    ...["-CRLfile", `${dir}/hosts/a/ca-crl.pem`, `${dir}/hosts/a/server-cert.pem`],
  ]);
  assert(code === 0, stderr);
});
