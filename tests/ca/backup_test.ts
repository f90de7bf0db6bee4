import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ArchiveFile, readArchive, writeArchive } from "../../ca/archive.ts";
import { openCms, sealCms } from "../../ca/cms.ts";
import {
  CaError,
  checkBackup,
  issueHost,
  makeBackup,
  readEntries,
  renewHosts,
  restoreBackup,
  revokeCertificates,
  showIssued,
  verifyLog,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { run } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();
const passphrase = "correct horse ünd battery";

/** A host whose directory's path has no room in a tar header. */
const LONG = `${"a".repeat(63)}.${"b".repeat(63)}.${"c".repeat(63)}.example`;

/** Every file with its mode and bytes; what is made by each change of its own is left out. */
function snapshot(dir: string): Record<string, string> {
  const files: Record<string, string> = {};
  const walk = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(`${dir}/${path}`)) {
      const at = `${path}${name}`;
      if (isDirectory) walk(`${at}/`);
      else if (!/^(\.lock|ca\.db|ca\.log)$/.test(at)) {
        const { mode } = Deno.statSync(`${dir}/${at}`);
        files[at] = `${(mode! & 0o777).toString(8)} ${Deno.readFileSync(`${dir}/${at}`).toHex()}`;
      }
    }
  };
  walk("");
  return Object.fromEntries(Object.entries(files).sort(([a], [b]) => a < b ? -1 : 1));
}

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}

async function makeFleet(root: string) {
  const { dir } = await makePki(`${root}/pki`, {
    hosts: [{ name: "a" }, { name: "a" }, { name: LONG }, { name: "gone" }],
  });
  await revokeCertificates(["gone"], "keyCompromise", { dir, engine });
  return { dir, file: `${root}/backup.cms` };
}

Deno.test("what restoreBackup() brings back is what was backed up, and goes on working", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  const before = await readEntries({ dir });
  const made = await makeBackup({ dir, file, passphrase });
  assertEquals([made.leftOut, made.keyInToken], [[], false]);
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  assertEquals(names(temp.path), ["backup.cms", "pki"]);
  assertEquals(await checkBackup(file, passphrase), {
    files: made.files,
    hosts: 3,
    keyInToken: false,
  });
  const back = `${temp.path}/not/yet/back`;
  const restored = await restoreBackup({ file, dir: back, passphrase });
  assertEquals([restored.files, restored.hosts], [made.files, 3]);
  assertEquals(snapshot(back), snapshot(dir));
  for (const name of ["ca.db", "ca.log"]) {
    assertEquals(Deno.statSync(`${back}/${name}`).mode! & 0o777, 0o600);
  }
  const entries = await readEntries({ dir: back });
  assertEquals(entries.slice(0, -1), before);
  assertEquals(entries.at(-1)!.sha256, made.sha256);
  assertEquals((await readEntries({ dir })).at(-1)!.act, "backup");
  await renewHosts({ dir: back, engine, selection: { kind: "all" } });
  await issueHost({ dir: back, engine, host: "new" });
  assertWholeSet(`${back}/hosts/a`);
  assertEquals((await showIssued("gone", { dir: back }))[0]!.revoked?.reason, "keyCompromise");
  assertEquals((await verifyLog({ dir: back, engine })).faults, []);
});

Deno.test("makeBackup() replaces a file only when it is told to, and never lies in the CA's directory", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  Deno.writeTextFileSync(file, "mine");
  const refused = await assertRejects(() => makeBackup({ dir, file, passphrase }), CaError);
  assertEquals([refused.code, refused.facts.cause], ["BACKUP", "it exists already"]);
  assertEquals(Deno.readTextFileSync(file), "mine");
  await makeBackup({ dir, file, passphrase, force: true });
  await checkBackup(file, passphrase);
  Deno.mkdirSync(`${temp.path}/link`);
  Deno.symlinkSync(dir, `${temp.path}/link/pki`);
  for (const inside of [`${dir}/b.cms`, `${dir}/hosts/b.cms`, `${temp.path}/link/pki/b.cms`]) {
    const { facts } = await assertRejects(
      () => makeBackup({ dir, file: inside, passphrase }),
      CaError,
    );
    assertEquals(facts.cause, "it would lie in the CA's own directory, and be lost with it");
  }
});

Deno.test("makeBackup() replaces nothing but a file, whatever it is told", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  const at = (name: string) => `${temp.path}/${name}`;
  Deno.mkdirSync(at("folder"));
  Deno.writeTextFileSync(at("target"), "mine");
  Deno.symlinkSync(at("target"), at("link"));
  assertEquals((await run("mkfifo", [at("pipe")])).code, 0);
  const rows = [["folder", "a directory"], ["link", "a symbolic link"], [
    "pipe",
    "a device or pipe",
  ]] as const;
  for (const [name, what] of rows) {
    const before = Deno.lstatSync(at(name));
    const { code, facts } = await assertRejects(
      () => makeBackup({ dir, file: at(name), passphrase, force: true }),
      CaError,
    );
    assertEquals([code, facts.cause], ["BACKUP", `it is ${what}, which is never replaced`]);
    assertEquals(Deno.lstatSync(at(name)).ino, before.ino);
  }
  assertEquals(Deno.readTextFileSync(at("target")), "mine");
  await makeBackup({ dir, file, passphrase });
  await makeBackup({ dir, file, passphrase, force: true });
});

Deno.test("makeBackup() follows no link that was planted, and says what it leaves out", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  Deno.writeTextFileSync(`${temp.path}/secret`, "secret");
  Deno.symlinkSync(`${temp.path}/secret`, `${dir}/hosts/a/secret`);
  Deno.symlinkSync(temp.path, `${dir}/up`);
  const { leftOut } = await makeBackup({ dir, file, passphrase });
  assertEquals(leftOut, [`${dir}/hosts/a/secret`, `${dir}/up`]);
});

Deno.test("restoreBackup() touches nothing that is there", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  await makeBackup({ dir, file, passphrase });
  const other = `${temp.path}/other`;
  Deno.mkdirSync(other);
  Deno.writeTextFileSync(`${other}/mine`, "mine");
  Deno.symlinkSync(other, `${temp.path}/link`);
  for (const place of [dir, other, `${temp.path}/link`, `${other}/mine`]) {
    const { code } = await assertRejects(
      () => restoreBackup({ file, dir: place, passphrase }),
      CaError,
    );
    assert(code === "NOT_EMPTY" || code === "NOT_A_DIRECTORY");
  }
  assertEquals(names(other), ["mine"]);
  Deno.mkdirSync(`${temp.path}/empty`);
  await restoreBackup({ file, dir: `${temp.path}/empty/`, passphrase });
  assertEquals(snapshot(`${temp.path}/empty`), snapshot(dir));
});

const DOES_NOT_FIT = "the passphrase does not fit, or the file is damaged";

Deno.test("restoreBackup() refuses a wrong passphrase and every damage before it writes anything", async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  await makeBackup({ dir, file, passphrase });
  const whole = Deno.readFileSync(file);
  const damaged = `${temp.path}/damaged`;
  const refusal = async (bytes: Uint8Array, word = passphrase) => {
    Deno.writeFileSync(damaged, bytes);
    const error = await assertRejects(
      () => restoreBackup({ file: damaged, dir: `${temp.path}/new`, passphrase: word }),
      CaError,
    );
    assertEquals(error.code, "BACKUP");
    return error.facts.cause;
  };
  assertEquals(await refusal(whole, "another"), DOES_NOT_FIT);
  for (const at of [-1, 320, whole.length >> 1]) {
    const bytes = whole.slice();
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    assertEquals(await refusal(bytes), "it is damaged", `octet ${at}`);
  }
  for (const length of [whole.length - 1, whole.length >> 1, 40]) {
    assertEquals(await refusal(whole.slice(0, length)), "it is damaged", `${length} octets`);
  }
  assertEquals(await refusal(new Uint8Array([...whole, 0])), "it is damaged");
  for (const junk of [new Uint8Array(0), new Uint8Array(5000), new TextEncoder().encode("hello")]) {
    assertEquals(await refusal(junk), "it is no backup of this toolkit");
  }
  assertEquals(names(temp.path), ["backup.cms", "damaged", "pki"]);
});

async function* each<T>(values: readonly T[]): AsyncIterable<T> {
  for (const value of values) yield await Promise.resolve(value);
}

const textFile = (path: string, data = new Uint8Array(0)): ArchiveFile => ({
  path,
  mode: 0o600,
  modified: 1_000_000,
  data,
});

/** An archive of a CA's certificate and a file at a path. */
async function archiveWith(path: string): Promise<Uint8Array<ArrayBuffer>> {
  return await bytesOf(writeArchive(each([textFile("ca-cert.pem"), textFile(path)])));
}

/** The same, the file being a symbolic link. */
async function archiveWithLink(): Promise<Uint8Array<ArrayBuffer>> {
  const archive = await archiveWith("x");
  const at = 512;
  archive[at + 156] = "2".charCodeAt(0);
  const sum = archive.slice(at, at + 512).fill(0x20, 148, 156).reduce((a, b) => a + b, 0);
  archive.set(new TextEncoder().encode(sum.toString(8).padStart(6, "0")), at + 148);
  return archive;
}

Deno.test("readArchive() takes no path that leads out of the directory, nor a link", async () => {
  const paths = [
    "../x",
    "/etc/x",
    "a/../../x",
    "a//x",
    "./../x",
    `${"a/".repeat(60)}../x`,
    "",
    "..",
  ];
  const archives = await Promise.all([...paths.map(archiveWith), archiveWithLink()]);
  for (const archive of archives) {
    await assertRejects(() => Array.fromAsync(readArchive(each([archive]))), RangeError);
  }
});

Deno.test("restoreBackup() leaves nothing of a backup that has a path leading elsewhere", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/evil.cms`;
  const packed = ReadableStream.from([await archiveWith("../x")])
    .pipeThrough(new CompressionStream("gzip"));
  const sealed = await sealCms(packed, passphrase);
  Deno.writeFileSync(file, await new Blob(sealed as BlobPart[]).bytes());
  const error = await assertRejects(
    () => restoreBackup({ file, dir: `${temp.path}/new`, passphrase }),
    CaError,
  );
  assertEquals([error.code, error.facts.cause], ["BACKUP", "it has a path that leads elsewhere"]);
  assertEquals(names(temp.path), ["evil.cms"]);
});

async function bytesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  return await new Blob(await Array.fromAsync(pieces) as BlobPart[]).bytes();
}

Deno.test("an archive is read back as it was written, however its bytes come", async () => {
  const files = [
    textFile("a"),
    textFile("b/c", crypto.getRandomValues(new Uint8Array(512))),
    textFile(`hosts/${LONG}/server-cert.pem`, crypto.getRandomValues(new Uint8Array(1300))),
    textFile("zürich/ü", Uint8Array.of(1)),
  ];
  const archive = await bytesOf(writeArchive(each(files)));
  for (const size of [1, 511, 512, 4096, archive.length]) {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < archive.length; at += size) pieces.push(archive.subarray(at, at + size));
    assertEquals(await Array.fromAsync(readArchive(each(pieces))), files);
  }
  for (const length of [0, 100, 512, archive.length - 1100]) {
    await assertRejects(
      () => Array.fromAsync(readArchive(each([archive.subarray(0, length)]))),
      RangeError,
    );
  }
});

Deno.test("openCms() opens what sealCms() made, of any size", async () => {
  for (const size of [0, 70_000, 3_000_000]) {
    const data = new Uint8Array(size).fill(7);
    const sealed = await new Blob(await sealCms(each([data]), "x") as BlobPart[]).bytes();
    const opened = await openCms(sealed, "x");
    assert(Array.isArray(opened));
    assertEquals((await new Blob(opened as BlobPart[]).bytes()).length, size);
  }
});

Deno.test("openCms() refuses every bit of a header that is another, and any of the rest", async () => {
  const data = crypto.getRandomValues(new Uint8Array(2000));
  const sealed = await new Blob(await sealCms(each([data]), "x") as BlobPart[]).bytes();
  const header = sealed.length - data.length - 18;
  const find = (part: readonly number[]) =>
    sealed.findIndex((_, i) => part.every((octet, j) => sealed[i + j] === octet));
  // To try these takes 600,000 rounds or more each: salt, count, vector, wrapped key, nonce.
  const iv = find([0x01, 0x2a, 0x04, 0x10]) + 4;
  const rounds = find([0x02, 0x03, 0x09, 0x27, 0xc0]);
  const nonce = find([0x01, 0x2e, 0x30, 0x11, 0x04, 0x0c]) + 6;
  const slow = [[rounds - 16, 16], [rounds + 2, 3], [iv, 16], [iv + 18, 48], [nonce, 12]]
    .flatMap(([at, size]) => Array.from({ length: size! }, (_, i) => at! + i));
  const isOpened = async (at: number, bit: number) => {
    const bytes = sealed.slice();
    bytes[at]! ^= 1 << bit;
    return Array.isArray(await openCms(bytes, "x"));
  };
  for (let at = 0; at < header; at++) {
    for (let bit = 0; bit < 8 && !slow.includes(at); bit++) {
      assert(!await isOpened(at, bit), `octet ${at}, bit ${bit}`);
    }
  }
  const count = soakCount(400, 8);
  for (let i = 0; i < count; i++) {
    const rest = header + Math.floor(Math.random() * (sealed.length - header));
    // The upper octets of the count would be minutes.
    const low = slow.filter((at) => at !== rounds + 2);
    const bit = Math.floor(Math.random() * 8);
    for (const at of [rest, low[Math.floor(Math.random() * low.length)]!]) {
      assert(!await isOpened(at, bit), `octet ${at}, bit ${bit}`);
    }
  }
  soakRow("openCms() with a bit that is another", count, "each refused");
});

programTest("openssl and tar open a backup, and openssl refuses a damaged one", [
  "openssl",
  "tar",
], async () => {
  using temp = temporaryDirectory();
  const { dir, file } = await makeFleet(temp.path);
  await makeBackup({ dir, file, passphrase });
  const out = `${temp.path}/out`;
  Deno.mkdirSync(out);
  const decrypt = (from: string) =>
    run("openssl", [
      ...["cms", "-decrypt", "-inform", "DER", "-in", from, "-pwri_password", passphrase],
      ...["-out", `${temp.path}/pki.tar.gz`],
    ]);
  assertEquals((await decrypt(file)).code, 0);
  const tar = await run("tar", ["xpzf", `${temp.path}/pki.tar.gz`, "-C", out]);
  assertEquals([tar.code, tar.stderr], [0, ""]);
  assertEquals(snapshot(out), snapshot(dir));
  const bytes = Deno.readFileSync(file);
  bytes[bytes.length >> 1]! ^= 1;
  Deno.writeFileSync(`${temp.path}/damaged`, bytes);
  assert((await decrypt(`${temp.path}/damaged`)).code !== 0);
});
