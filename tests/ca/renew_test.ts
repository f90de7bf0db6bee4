import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import {
  CaError,
  type HostOptions,
  issueHost,
  renewHosts,
  type RenewOptions,
} from "../../ca/mod.ts";
import { type Certificate, checkCredentials, parseCertificate } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

function certificateIn(file: string): Certificate {
  return parseCertificate(decodePem(Deno.readTextFileSync(file))[0]!.der);
}

const read = (file: string) => Deno.readTextFileSync(file);

/** What a renewal has to keep, of each role. */
function kept(dir: string): unknown {
  return ["server", "client"].map((role) => {
    const one = certificateIn(`${dir}/${role}-cert.pem`);
    const { subject, keyUsage, extendedKeyUsage, subjectAltName, authorityKeyId } = one;
    return { text: subject.text, keyUsage, extendedKeyUsage, subjectAltName, authorityKeyId };
  });
}

const HOSTS: readonly HostOptions[] = [
  { host: "a", dns: ["a.example"], ip: ["192.0.2.1", "::ffff:192.0.2.1"] },
  { host: "192.0.2.2", keyType: "ed25519", profile: "strict", subject: "C=CH,O=Exämple" },
  { host: `${"x".repeat(60)}.example.com`, keyType: "rsa-2048" },
  { host: "w", dns: ["*.w.example"], allowWildcard: true, days: 90 },
];

Deno.test("renewHosts() keeps names, roles, subject, profile, days and keys", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [], clock: daysFromNow(-20) });
  for (const host of HOSTS) await issueHost({ dir, engine, ...host, clock: daysFromNow(-10) });
  const { outcomes, authority, revoked } = await renewHosts({
    dir,
    engine,
    selection: { kind: "all" },
  });
  assertEquals([authority, revoked], [undefined, []]);
  assertEquals(outcomes.map((one) => one.ok), HOSTS.map(() => true));
  for (const { host, days = 365 } of HOSTS) {
    const [now, before] = [`${dir}/hosts/${host}`, `${dir}/previous/${host}`];
    assertWholeSet(now);
    assertEquals(kept(now), kept(before));
    assertEquals(read(`${now}/server-key.pem`), read(`${before}/server-key.pem`));
    const [renewed, old] = [now, before].map((d) => certificateIn(`${d}/server-cert.pem`));
    assertNotEquals(renewed!.serial, old!.serial);
    const added = (renewed!.notAfter.getTime() - old!.notAfter.getTime()) / 86_400_000;
    assertEquals([Math.round(added), days], [10, days]);
  }
});

Deno.test("renewHosts() makes whole what a CA's end cut, once the CA has another one", async () => {
  using temp = temporaryDirectory();
  const hosts = [{ name: "a", clock: daysFromNow(-6), days: 50 }];
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts,
    clock: daysFromNow(-7),
    days: 40,
  });
  const renew = async (authority: boolean) => {
    const { outcomes: [one] } = await renewHosts({
      dir,
      engine,
      selection: { kind: "all" },
      authority,
    });
    assert(one?.ok);
    return [one.issued.days, one.issued.cut];
  };
  assertEquals(await renew(false), [365, true]);
  assertEquals(await renew(true), [365, true]);
});

Deno.test("renewHosts() makes new keys when it is asked to", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  const selection = { kind: "hosts", hosts: ["A", "a"] } as const;
  const { outcomes } = await renewHosts({ dir, engine, selection, rekey: true, days: 7 });
  assertEquals(outcomes.map((one) => [one.host, one.ok]), [["a", true]]);
  assertWholeSet(`${dir}/hosts/a`);
  assertEquals(kept(`${dir}/hosts/a`), kept(`${dir}/previous/a`));
  const [now, before] = ["hosts", "previous"].map((place) => `${dir}/${place}/a/client-key.pem`);
  assertNotEquals(read(now!), read(before!));
  const { notAfter } = certificateIn(`${dir}/hosts/a/server-cert.pem`);
  assertEquals(Math.round((notAfter.getTime() - Date.now()) / 86_400_000), 7);
});

Deno.test("renewHosts() selects by what is left of a certificate's life", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "long", days: 300 }, { name: "short", days: 30 }],
  });
  const renewed = async (selection: RenewOptions["selection"], days: number) => {
    const copy = `${temp.path}/${crypto.randomUUID()}`;
    await new Deno.Command("cp", { args: ["-a", dir, copy] }).output();
    const result = await renewHosts({ dir: copy, engine, selection, clock: daysFromNow(days) });
    return result.outcomes.map((one) => one.host);
  };
  assertEquals(await renewed({ kind: "due" }, 19), []);
  assertEquals(await renewed({ kind: "due" }, 21), ["short"]);
  assertEquals(await renewed({ kind: "due" }, 201), ["long", "short"]);
  assertEquals(await renewed({ kind: "before", span: 10 * 86_400_000 }, 19), []);
  assertEquals(await renewed({ kind: "before", span: 12 * 86_400_000 }, 19), ["short"]);
  assertEquals(await renewed({ kind: "all" }, 0), ["long", "short"]);
});

Deno.test("renewHosts() brings a fleet back that has expired long ago, its CA included", async () => {
  using temp = temporaryDirectory();
  const made = daysFromNow(-800);
  const { dir } = await makePki(`${temp.path}/pki`, {
    clock: made,
    days: 400,
    hosts: [{ name: "a", clock: made }, { name: "b", clock: made }],
  });
  const before = certificateIn(`${dir}/ca-cert.pem`);
  await assertRejects(() => issueHost({ dir, engine, host: "c" }), CaError, "expired on");
  const first = await renewHosts({ dir, engine, selection: { kind: "hosts", hosts: ["a"] } });
  const authority = certificateIn(`${dir}/ca-cert.pem`);
  assertEquals(first.authority?.notAfter, authority.notAfter);
  assertEquals(authority.spki, before.spki);
  assertEquals(authority.subject, before.subject);
  assertEquals(
    authority.extensions.map((one) => [one.oid, one.critical, one.value.toHex()]),
    before.extensions.map((one) => [one.oid, one.critical, one.value.toHex()]),
  );
  assertNotEquals(authority.serial, before.serial);
  const days = (authority.notAfter.getTime() - Date.now()) / 86_400_000;
  assertEquals(Math.round(days), 400);
  const second = await renewHosts({ dir, engine, selection: { kind: "due" } });
  assertEquals([second.authority, second.outcomes.map((one) => one.host)], [undefined, ["b"]]);
  for (const host of ["a", "b"]) {
    assertWholeSet(`${dir}/hosts/${host}`);
    const verdicts = await checkCredentials(`${dir}/hosts/${host}`, { engine });
    assertEquals(verdicts.filter((verdict) => !verdict.ok), []);
  }
});

Deno.test("renewHosts() says of each host that it cannot renew why, and renews the others", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  await issueHost({ dir, engine, host: "c", hostPassphrase: "geheim" });
  await issueHost({ dir, engine, host: "d" });
  Deno.removeSync(`${dir}/hosts/b/client-key.pem`);
  Deno.writeTextFileSync(`${dir}/hosts/d/server-cert.pem`, "junk");
  const { outcomes } = await renewHosts({ dir, engine, selection: { kind: "all" } });
  assertEquals(
    outcomes.map((one) => [one.host, one.ok ? "" : one.error.facts.cause]).sort(),
    [
      ["a", ""],
      ["b", `${dir}/hosts/b/client-key.pem is missing`],
      ["c", `${dir}/hosts/c/server-key.pem is encrypted`],
      ["d", `cannot decode ${dir}/hosts/d/server-cert.pem: it has no certificate`],
    ],
  );
  const again = await renewHosts({
    ...{ dir, engine, hostPassphrase: "geheim" },
    selection: { kind: "hosts", hosts: ["c"] },
  });
  assertEquals(again.outcomes.map((one) => one.ok), [true]);
  const [now, before] = ["hosts", "previous"].map((place) => `${dir}/${place}/c/server-key.pem`);
  assertEquals(read(now!), read(before!));
  await assertRejects(
    () => renewHosts({ dir, engine, selection: { kind: "hosts", hosts: ["e"] } }),
    CaError,
    "nothing was issued for e",
  );
});
