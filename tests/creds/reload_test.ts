import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { CredsError, ObjectRegistry, watchDirectories } from "../../creds/mod.ts";
import {
  makeCertificate,
  type TestCertificate,
  writeCredentials,
} from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const authority = () =>
  makeCertificate({
    subject: "CN=ca",
    keyNumber: 1,
    basicConstraints: { critical: true, ca: true },
  });

async function issue(dir: string, ca: TestCertificate, subject: string, hours = 24): Promise<void> {
  const leaf = await makeCertificate({ subject, issuer: ca, hours: [-2, hours] });
  writeCredentials(dir, "server", { ca: ca.pem, cert: leaf.pem, key: leaf.keyPem });
}

Deno.test("TlsCreds.reload() takes a renewed set into use and says whether it is new", async () => {
  using dir = temporaryDirectory();
  const ca = await authority();
  for (const engine of engines) {
    await issue(dir.path, ca, "CN=old");
    using objects = new ObjectRegistry({ engine });
    await objects.add(`tls-creds-x509,id=t,dir=${dir.path},endpoint=server`);
    const creds = objects.tlsCreds("t", "server");
    const { credentials } = creds;
    assertEquals(await creds.reload(), false);
    assert(creds.credentials === credentials, "an unchanged set is replaced");
    await issue(dir.path, ca, "CN=new");
    assertEquals(creds.identity?.subject.text, "CN=old");
    // Whoever asks twice at the same time gets one renewal.
    assertEquals(await Promise.all([creds.reload(), creds.reload()]), [true, false]);
    assertEquals(creds.identity?.subject.text, "CN=new");
    assert(creds.credentials !== credentials);
    assert(objects.tlsCreds("t", "server") === creds, "users of the object see the new set");
  }
});

Deno.test("TlsCreds.reload() keeps the old set whatever is wrong with the new one", async () => {
  using dir = temporaryDirectory();
  const ca = await authority();
  const other = await makeCertificate({ subject: "CN=x", keyNumber: 5 });
  const file = (name: string) => `${dir.path}/${name}`;
  const damages: Record<string, (() => void | Promise<void>)> = {
    [`Unable to access credentials ${file("server-key.pem")}: No such file or directory`]: () =>
      Deno.removeSync(file("server-key.pem")),
    [`The server certificate ${file("server-cert.pem")} has expired`]: () =>
      issue(dir.path, ca, "CN=late", -1),
    [
      `Cannot load certificate '${file("server-cert.pem")}' & key '${
        file("server-key.pem")
      }': The certificate and the given key do not match.`
    ]: () => Deno.writeTextFileSync(file("server-key.pem"), other.keyPem),
    [`Unable to import CA certificate list ${file("ca-cert.pem")}`]: () =>
      Deno.writeTextFileSync(file("ca-cert.pem"), "junk"),
  };
  for (const engine of engines) {
    await issue(dir.path, ca, "CN=good");
    using objects = new ObjectRegistry({ engine });
    await objects.add(`tls-creds-x509,id=t,dir=${dir.path},endpoint=server`);
    await objects.add("secret,id=s,data=x");
    const creds = objects.tlsCreds("t", "server");
    const { credentials } = creds;
    for (const [message, damage] of Object.entries(damages)) {
      await issue(dir.path, ca, "CN=good");
      await damage();
      await assertRejects(() => creds.reload(), CredsError, message);
      assert(creds.credentials === credentials, message);
      const [outcome, ...rest] = await objects.reload();
      assertEquals([outcome!.id, outcome!.result, rest.length], ["t", "failed", 0]);
      assertInstanceOf(outcome!.error, CredsError);
    }
    await issue(dir.path, ca, "CN=mended");
    assertEquals((await objects.reload()).map(({ result }) => result), ["reloaded"]);
    assertEquals((await objects.reload()).map(({ result }) => result), ["unchanged"]);
  }
});

Deno.test("ObjectRegistry.reload() reads shared keys again", async () => {
  const engine = engines.find(({ name }) => name === "gnutls");
  if (engine === undefined) return;
  using dir = temporaryDirectory();
  const write = (key: string) => Deno.writeTextFileSync(`${dir.path}/keys.psk`, `qemu:${key}\n`);
  write("00".repeat(16));
  using objects = new ObjectRegistry({ engine });
  await objects.add(`tls-creds-psk,id=p,dir=${dir.path},endpoint=server`);
  const results = async () => (await objects.reload()).map(({ result }) => result);
  assertEquals(await results(), ["unchanged"]);
  write("11".repeat(16));
  assertEquals(await results(), ["reloaded"]);
  Deno.removeSync(`${dir.path}/keys.psk`);
  assertEquals(await results(), ["failed"]);
});

/** Ways in which sets are renewed. */
const RENEWALS: Record<string, (dir: string) => void> = {
  "a file that is written": (dir) => Deno.writeTextFileSync(`${dir}/server-cert.pem`, "new"),
  "a file that is renamed": (dir) => {
    Deno.writeTextFileSync(`${dir}/x.tmp`, "new");
    Deno.renameSync(`${dir}/x.tmp`, `${dir}/server-cert.pem`);
  },
  "a directory in its place": (dir) => {
    Deno.mkdirSync(`${dir}.new`);
    Deno.writeTextFileSync(`${dir}.new/server-cert.pem`, "new");
    Deno.renameSync(dir, `${dir}.old`);
    Deno.renameSync(`${dir}.new`, dir);
  },
  "a link that leads elsewhere": (dir) => {
    Deno.mkdirSync(`${dir}.new`);
    Deno.writeTextFileSync(`${dir}.new/server-cert.pem`, "new");
    Deno.renameSync(dir, `${dir}.old`);
    Deno.symlinkSync(`${dir}.new`, `${dir}.link`);
    Deno.renameSync(`${dir}.link`, dir);
  },
};

for (const [what, renew] of Object.entries(RENEWALS)) {
  Deno.test(`watchDirectories() notices ${what}, again and again`, async () => {
    using folder = temporaryDirectory();
    const dir = `${folder.path}/creds`;
    Deno.mkdirSync(dir);
    const stop = new AbortController();
    let seen = Promise.withResolvers<void>();
    let looks = 0;
    const watching = watchDirectories([dir], () => {
      looks++;
      seen.resolve();
      return Promise.resolve();
    }, stop.signal);
    const limit = setTimeout(() => seen.reject(new Error(`${looks} looks, no more`)), 20_000);
    await seen.promise;
    for (const change of [renew, RENEWALS["a file that is written"]!]) {
      seen = Promise.withResolvers();
      change(dir);
      await seen.promise;
    }
    // A neighbour is nobody's business.
    const before = looks;
    Deno.writeTextFileSync(`${folder.path}/neighbour`, "");
    await new Promise((resolve) => setTimeout(resolve, 500));
    assertEquals(looks, before);
    clearTimeout(limit);
    stop.abort();
    await watching;
  });
}
