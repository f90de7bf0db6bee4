import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { CaError, installSet, issueHost, makeHostKeys, revokeCertificates } from "../../ca/mod.ts";
import { dhParamsPem } from "../../ca/dh_params.ts";
import { pkiPaths } from "../../ca/pki.ts";
import { readRevoked } from "../../ca/revoked.ts";
import { assertWholeSet, modeOf, SET_FILES } from "../support/credential_set.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { engine, granted, stage } from "./requests.ts";

function copy(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name } of Deno.readDirSync(from)) {
    Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

Deno.test("installSet() makes the directory whole, and changes nothing where a key does not fit", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const from = `${dir}/hosts/vm1.example`;
  const other = await makeHostKeys({ host: "vm1.example", out: `${temp.path}/other`, engine });
  const wrong = await assertRejects(
    () => installSet({ from, keys: other.dir, to: `${temp.path}/qemu`, engine }),
    CaError,
  );
  assertMatch(wrong.message, /is for another key than the server-key\.pem here$/);
  assertEquals(
    [...Deno.readDirSync(temp.path)].map((entry) => entry.name).sort(),
    ["keys", "other", "pki"],
  );
  const done = await installSet({ from, keys: keys.dir, to: `${temp.path}/qemu`, engine });
  assert(done.verdicts.every(({ ok }) => ok));
  Deno.removeSync(`${temp.path}/qemu/request.pem`);
  assertWholeSet(`${temp.path}/qemu`);
  Deno.chmodSync(`${temp.path}/qemu/server-key.pem`, 0o640);
  const again = await installSet({ from, keys: keys.dir, to: `${temp.path}/qemu`, engine });
  assertEquals(again.previous, `${temp.path}/qemu.previous`);
  assertEquals(modeOf(`${temp.path}/qemu/server-key.pem`), 0o640);
  assertEquals(done.files.filter((name) => name !== "request.pem"), SET_FILES);
});

Deno.test("installSet() refuses a place that is a link, a file, or the root, and makes nothing there", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const from = `${dir}/hosts/vm1.example`;
  Deno.mkdirSync(`${temp.path}/real`, { mode: 0o700 });
  Deno.symlinkSync("real", `${temp.path}/live`);
  Deno.symlinkSync("nowhere", `${temp.path}/broken`);
  Deno.writeTextFileSync(`${temp.path}/file`, "");
  const before = [...Deno.readDirSync(temp.path)].map(({ name }) => name).sort();
  for (
    const [to, said, hint] of [
      [`${temp.path}/live`, "it is a symbolic link", `--to ${temp.path}/real`],
      [`${temp.path}/live/`, "it is a symbolic link", `--to ${temp.path}/real`],
      [`${temp.path}/broken`, "it is a symbolic link", "--to DIR"],
      [`${temp.path}/file`, "it is a file", "--to DIR"],
      [`${temp.path}/real/.`, "it has no name there", `--to ${temp.path}/real`],
      ["/", "it is the root of the file system", "--to DIR"],
    ] as const
  ) {
    const error = await assertRejects(
      () => installSet({ from, keys: keys.dir, to, engine }),
      CaError,
    );
    assertMatch(
      error.message,
      new RegExp(`^cannot install in ${to.replace(/(?<=.)\/$/, "")}: ${said}`),
    );
    assertEquals(error.hints, [`name the directory that is to be exchanged: ${hint}`]);
  }
  assertEquals([...Deno.readDirSync(temp.path)].map(({ name }) => name).sort(), before);
  assertEquals([...Deno.readDirSync(`${temp.path}/real`)], []);
});

Deno.test("installSet() lets nobody else write to what it makes, whatever was there before", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const [from, to] = [`${dir}/hosts/vm1.example`, `${temp.path}/qemu`];
  Deno.mkdirSync(to);
  Deno.chmodSync(to, 0o777);
  Deno.writeTextFileSync(`${to}/server-key.pem`, "");
  Deno.chmodSync(`${to}/server-key.pem`, 0o666);
  await installSet({ from, keys: keys.dir, to, engine });
  assertEquals([modeOf(to), modeOf(`${to}/server-key.pem`)], [0o755, 0o644]);
});

Deno.test("installSet() takes a set's own files alone, and leaves the others where they are", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const [from, to] = [`${temp.path}/answer`, `${temp.path}/qemu`];
  copy(`${dir}/hosts/vm1.example`, from);
  Deno.writeTextFileSync(`${from}/extra.txt`, "");
  Deno.writeTextFileSync(`${from}/server-key.pem`, "another's");
  Deno.mkdirSync(to);
  Deno.mkdirSync(`${to}/folder`);
  const parameters = dhParamsPem("ffdhe2048");
  Deno.writeTextFileSync(`${to}/dh-params.pem`, parameters);
  Deno.chmodSync(`${to}/dh-params.pem`, 0o640);
  Deno.symlinkSync("dh-params.pem", `${to}/link`);
  const done = await installSet({ from, keys: keys.dir, to, engine });
  assertEquals(done.notTaken, ["extra.txt", "server-key.pem"]);
  assertEquals(done.carried, ["dh-params.pem", "link"]);
  assertEquals(done.dropped, ["folder"]);
  assertEquals(Deno.readTextFileSync(`${to}/link`), parameters);
  assertEquals(modeOf(`${to}/dh-params.pem`), 0o640);
  assertEquals(done.files, ["dh-params.pem", "request.pem", ...SET_FILES].sort());
  Deno.removeSync(`${from}/client-cert.pem`);
  const half = await installSet({ from, keys: keys.dir, to, engine });
  assertEquals(half.dropped, ["client-cert.pem", "client-key.pem"]);
});

Deno.test("installSet() never goes back to an older CRL of a CA, nor to none", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  const other = await issueHost({ dir, engine, host: "vm2.example" });
  granted(await sign());
  const [from, to] = [`${temp.path}/answer`, `${temp.path}/qemu`];
  copy(`${dir}/hosts/vm1.example`, from);
  await revokeCertificates([other.host], "keyCompromise", { dir, engine });
  const crl = `${dir}/ca-crl.pem`;
  const { number } = readRevoked(pkiPaths(dir));
  await installSet({ from: `${dir}/hosts/vm1.example`, keys: keys.dir, to, engine });
  const kept = async () => {
    const { keptCrls } = await installSet({ from, keys: keys.dir, to, engine });
    assertEquals(Deno.readTextFileSync(`${to}/ca-crl.pem`), Deno.readTextFileSync(crl));
    return keptCrls;
  };
  const older = await kept();
  assertEquals(older.map((one) => [one.number, one.answered! < number]), [[number, true]]);
  Deno.removeSync(`${from}/ca-crl.pem`);
  assertEquals((await kept()).map(({ answered }) => answered), [undefined]);
  Deno.symlinkSync(crl, `${from}/ca-crl.pem`);
  await assertRejects(kept, CaError, "its ca-crl.pem is not a plain file");
  Deno.removeSync(`${from}/ca-crl.pem`);
  Deno.copyFileSync(crl, `${from}/ca-crl.pem`);
  assertEquals(await kept(), []);
});

Deno.test("installSet() refuses certificates that are older than those in their place", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign({ clock: () => new Date(Date.now() - 3_600_000) }));
  const [from, to] = [`${temp.path}/answer`, `${temp.path}/qemu`];
  copy(`${dir}/hosts/vm1.example`, from);
  await installSet({ from, keys: keys.dir, to, engine });
  granted(await sign());
  const newer = `${dir}/hosts/vm1.example`;
  await installSet({ from: newer, keys: keys.dir, to, engine });
  const before = Deno.readTextFileSync(`${to}/server-cert.pem`);
  const error = await assertRejects(
    () => installSet({ from, keys: keys.dir, to, engine }),
    CaError,
    "its server-cert.pem is of ",
  );
  assertMatch(error.hints.join(""), /mv \S+\/qemu \S+\/qemu\.newer$/);
  assertEquals(Deno.readTextFileSync(`${to}/server-cert.pem`), before);
});

Deno.test("installSet() says what to do on the host with an answer or files there that are damaged", async () => {
  using temp = temporaryDirectory();
  const { dir, keys, sign } = await stage(temp.path);
  granted(await sign());
  const [from, to] = [`${temp.path}/answer`, `${temp.path}/qemu`];
  copy(`${dir}/hosts/vm1.example`, from);
  const told = async () => {
    const error = await assertRejects(
      () => installSet({ from, keys: keys.dir, to, engine }),
      CaError,
    );
    assertEquals(/\.tmp|cp pki/.test([error.message, ...error.hints].join()), false);
    return error;
  };
  const good = Deno.readTextFileSync(`${from}/ca-cert.pem`);
  for (const text of ["", "damaged", good.slice(0, 300), good.replace("MII", "AAA")]) {
    Deno.writeTextFileSync(`${from}/ca-cert.pem`, text);
    const { message, hints } = await told();
    assertStringIncludes(message, `${from}/ca-cert.pem`);
    assertEquals(hints, ["copy it from the CA again, whole: pki/hosts/HOST"]);
  }
  Deno.writeTextFileSync(`${from}/ca-cert.pem`, good);
  Deno.mkdirSync(to);
  Deno.writeTextFileSync(`${to}/dh-params.pem`, "damaged");
  assertStringIncludes((await told()).message, `${to}/dh-params.pem`);
});
