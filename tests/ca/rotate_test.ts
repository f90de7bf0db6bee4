import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import {
  abandonRotation,
  backRotation,
  CaError,
  finishRotation,
  initAuthority,
  issueHost,
  issueRotation,
  makeHostKeys,
  publishCrl,
  renewHosts,
  revokeCertificates,
  rotationStatus,
  signRequests,
  startRotation,
  verifyLog,
} from "../../ca/mod.ts";
import { decodePem } from "../../base/mod.ts";
import { checkCredentials, parseCertificate, parseCrl } from "../../creds/mod.ts";
import { crlNumberOf } from "../../ca/revoked.ts";
import { chooseEngine, type KeyType } from "../../engine/mod.ts";
import { assertWholeSet, modeOf } from "../support/credential_set.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { assertAllMeet, meet, type Snapshot, takeSnapshots } from "./fleet_snapshots.ts";

const engine = await chooseEngine();
const HOSTS = ["a", "b"];

/** What is done beside a roll-over while one is under way. */
const BESIDE = {
  "nothing": () => Promise.resolve(),
  "renew a": (dir: string) =>
    renewHosts({ dir, engine, selection: { kind: "hosts", hosts: ["a"] } }),
  "rekey b": (dir: string) =>
    renewHosts({ dir, engine, selection: { kind: "hosts", hosts: ["b"] }, rekey: true }),
  "renew the CA": (dir: string) =>
    renewHosts({ dir, engine, selection: { kind: "hosts", hosts: [] }, authority: true }),
  "make a CRL": (dir: string) => publishCrl({ dir, engine }),
  "revoke gone": async (dir: string) => {
    try {
      await revokeCertificates(["gone"], "superseded", { dir, engine });
    } catch (error) {
      // It was not issued for under the next CA, and the old one is dropped.
      if (!(error instanceof CaError && error.code === "NOT_ISSUED")) throw error;
    }
  },
} as const;

const beside = () => fc.constantFrom(...Object.keys(BESIDE) as (keyof typeof BESIDE)[]);
const keyType = () => fc.constantFrom<KeyType>("ec-p256", "ec-p384", "ed25519", "rsa-2048");

Deno.test("whatever step's files each host has, every pair meets until the end of a roll-over and after it", async () => {
  let pairs = 0;
  let handshakes = 0;
  const count = soakCount(100, 3);
  await fc.assert(
    fc.asyncProperty(
      keyType(),
      keyType(),
      fc.array(beside(), { minLength: 5, maxLength: 5 }),
      fc.boolean(),
      fc.infiniteStream(fc.nat()),
      async (oldType, newType, acts, inParts, chance) => {
        using temp = temporaryDirectory();
        const dir = `${temp.path}/pki`;
        await initAuthority({ dir, engine, keyType: oldType });
        for (const host of [...HOSTS, "gone"]) await issueHost({ dir, engine, host });
        const all: Snapshot[] = [];
        const moments: Snapshot[][] = [];
        const keep = (moment: string) => {
          moments.push(takeSnapshots(dir, HOSTS, moment, temp.path));
          all.push(...moments.at(-1)!);
        };
        const act = async (i: number) => {
          await BESIDE[acts[i]!](dir);
          keep(`${moments.length} ${acts[i]}`);
        };
        keep("0 before");
        await act(0);
        await startRotation({ dir, engine, keyType: newType });
        keep("started");
        await act(1);
        if (inParts) await issueRotation({ dir, engine, hosts: ["b"] });
        if (inParts) keep("issued in part");
        await act(2);
        await issueRotation({ dir, engine });
        const issued = moments.length;
        keep("issued");
        await act(3);
        await assertAllMeet(all, engine);
        await finishRotation({ dir, engine });
        keep("finished");
        await act(4);
        const since = moments.slice(issued).flat();
        await assertAllMeet(since, engine);
        for (const among of [all.slice(0, -4), since]) {
          pairs += among.length ** 2;
          for (let i = 0; i < 4; i++) {
            const [client, server] = [0, 1].map(() => among[chance.next().value % among.length]!);
            assertEquals(await meet(client!, server!, engine), ["", ""]);
            handshakes++;
          }
        }
        for (const host of HOSTS) assertWholeSet(`${dir}/hosts/${host}`);
      },
    ),
    { numRuns: count },
  );
  soakRow("roll-over, any mixture of steps", count, `${pairs} pairs, ${handshakes} handshakes`);
});

Deno.test("a roll-over that is given up starts again within the same second", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  const now = new Date();
  const options = { dir, engine, clock: () => now };
  const numbers: bigint[] = [];
  for (let i = 0; i < 3; i++) {
    await startRotation(options);
    const lists = decodePem(Deno.readTextFileSync(`${dir}/hosts/a/ca-crl.pem`));
    numbers.push(crlNumberOf(parseCrl(lists.at(-1)!.der)));
    if (i < 2) await abandonRotation(options);
  }
  assertEquals(numbers, [0n, 1n, 2n].map((more) => numbers[0]! + more));
  assertEquals((await verifyLog({ dir, engine })).faults, []);
});

Deno.test("finishRotation() refuses while a host depends on the old CA, and names it", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  assertEquals((await finishRotation({ dir, engine })).done, false);
  const started = await startRotation({ dir, engine });
  assertEquals([started.already, started.name], [false, "OU=G2,CN=virtcreds CA"]);
  assertEquals((await startRotation({ dir, engine })).already, true);
  await assertRejects(
    () => finishRotation({ dir, engine }),
    CaError,
    "cannot finish the roll-over: the next CA signs nothing yet",
  );
  const part = await issueRotation({ dir, engine, hosts: ["a"] });
  assertEquals([part.switched, part.left], [true, ["b"]]);
  await assertRejects(
    () => finishRotation({ dir, engine }),
    CaError,
    "cannot drop a CA: CN=virtcreds CA is still needed by b",
  );
  await assertRejects(() => startRotation({ dir, engine }), CaError, "is not finished");
  const rest = await issueRotation({ dir, engine });
  assertEquals(
    [rest.switched, rest.outcomes.map((one) => one.host), rest.left],
    [false, ["b"], []],
  );
  Deno.mkdirSync(`${dir}/hosts/empty`);
  const damaged = await assertRejects(() => finishRotation({ dir, engine }), CaError);
  assertMatch(damaged.message, /still needed by empty \(it has no certificate\)$/);
  assertMatch(damaged.hints.at(-1)!, /ca issue HOST, or move it out/);
  Deno.removeSync(`${dir}/hosts/empty`);
  const end = await finishRotation({ dir, engine });
  assertEquals([end.done, end.name, end.hosts], [true, "OU=G2,CN=virtcreds CA", ["a", "b"]]);
  assertEquals(rotationStatus({ dir }).position, "none");
  assertEquals(
    [...Deno.readDirSync(dir)].map((entry) => entry.name).sort(),
    [".lock", "ca-cert.pem", "ca-crl.pem", "ca-key.pem", "ca.db", "ca.log", "hosts", "previous"],
  );
  assertEquals(modeOf(`${dir}/ca-key.pem`), 0o600);
  const again = await startRotation({ dir, engine });
  assertEquals(again.name, "OU=G3,CN=virtcreds CA");
});

Deno.test("a roll-over goes back as far as it came, and leaves nothing of the next CA", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const before = Deno.readTextFileSync(`${dir}/ca-cert.pem`);
  const snapshots = takeSnapshots(dir, HOSTS, "before", temp.path);
  await startRotation({ dir, engine });
  await issueRotation({ dir, engine, hosts: ["a"] });
  snapshots.push(...takeSnapshots(dir, HOSTS, "issued", temp.path));
  await assertRejects(() => abandonRotation({ dir, engine }), CaError, "signs already");
  const back = await backRotation({ dir, engine });
  assertEquals([back.switched, back.outcomes.map((one) => one.host)], [true, ["a"]]);
  snapshots.push(...takeSnapshots(dir, HOSTS, "back", temp.path));
  await assertAllMeet(snapshots, engine);
  assertEquals((await abandonRotation({ dir, engine })).done, true);
  for (const place of [dir, `${dir}/hosts/a`, `${dir}/hosts/b`]) {
    assertEquals(Deno.readTextFileSync(`${place}/ca-cert.pem`), before);
  }
  assertEquals(rotationStatus({ dir }).position, "none");
  const kept = [...snapshots.slice(0, 2), ...takeSnapshots(dir, HOSTS, "after", temp.path)];
  await assertAllMeet(kept, engine);
});

function spoil(place: string, damage: string): void {
  for (const { name } of [...Deno.readDirSync(place)]) {
    if (damage === "emptied") Deno.removeSync(`${place}/${name}`);
    else Deno.writeTextFileSync(`${place}/${name}`, "junk");
  }
}

for (const damage of ["emptied", "of junk"]) {
  Deno.test(`a roll-over whose next CA's directory is ${damage} is given up`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
    const before = Deno.readTextFileSync(`${dir}/ca-cert.pem`);
    const { name } = await startRotation({ dir, engine });
    spoil(`${dir}/next`, damage);
    assertEquals(rotationStatus({ dir }).next?.name, name);
    await assertRejects(() => issueRotation({ dir, engine }), CaError);
    const end = await abandonRotation({ dir, engine });
    assertEquals([end.done, end.dropped?.name], [true, name]);
    assertEquals(Deno.readTextFileSync(`${dir}/hosts/a/ca-cert.pem`), before);
  });

  Deno.test(`a roll-over whose old CA's directory is ${damage} is finished`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
    await startRotation({ dir, engine });
    await issueRotation({ dir, engine });
    spoil(`${dir}/former`, damage);
    if (damage === "of junk") {
      const { hints } = await assertRejects(() => finishRotation({ dir, engine }), CaError);
      assertMatch(hints[1]!, / rm .*cross-cert\.pem$/);
      Deno.removeSync(`${dir}/former/cross-cert.pem`);
    }
    assertEquals((await finishRotation({ dir, engine })).done, true);
    assertEquals(rotationStatus({ dir }).position, "none");
  });
}

Deno.test("a directory of no roll-over is told from one whose certificate is lost", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [] });
  Deno.mkdirSync(`${dir}/next`);
  const { code, hints } = await assertRejects(() => startRotation({ dir, engine }), CaError);
  assertEquals([code, hints], ["ROTATION", [
    `put ${dir}/next/ca-cert.pem and the key beside it back, from a backup`,
    `or, where no roll-over is under way, move ${dir}/next away`,
  ]]);
});

Deno.test("issueRotation() names the command that makes a lost key anew", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  await startRotation({ dir, engine });
  Deno.removeSync(`${dir}/hosts/a/server-key.pem`);
  const { outcomes: [outcome] } = await issueRotation({ dir, engine });
  assert(outcome?.ok === false);
  assertEquals((outcome.error as CaError).hints, [
    `make new keys: deno task ca renew a --rekey --dir ${dir}`,
  ]);
  await renewHosts({ dir, engine, rekey: true, selection: { kind: "hosts", hosts: ["a"] } });
  assertEquals((await finishRotation({ dir, engine })).done, true);
});

Deno.test("a life that a CA's end cut is whole again under the next CA, and under the old one", async () => {
  using temp = temporaryDirectory();
  const days = (dir: string, host: string) => {
    const { notBefore, notAfter } = parseCertificate(
      decodePem(Deno.readTextFileSync(`${dir}/hosts/${host}/server-cert.pem`))[0]!.der,
    );
    return Math.floor((notAfter.getTime() - notBefore.getTime()) / 86_400_000);
  };
  const HOST = [{ name: "a" }, { name: "b", days: 90 }] as const;
  const ends = (dir: string) => HOST.map(({ name }) => days(dir, name));
  const short = await makePki(`${temp.path}/short`, { hosts: HOST, days: 1 });
  await startRotation({ dir: short.dir, engine, days: 3650 });
  await issueRotation({ dir: short.dir, engine });
  assertEquals(ends(short.dir), [365, 365]);
  const { dir } = await makePki(`${temp.path}/long`, { hosts: HOST });
  await startRotation({ dir, engine, days: 1 });
  const { outcomes } = await issueRotation({ dir, engine });
  assertEquals(outcomes.map((one) => one.ok && [one.issued.cut, one.issued.days]), [
    [true, 365],
    [true, 90],
  ]);
  assertEquals(ends(dir), [1, 1]);
  await backRotation({ dir, engine });
  assertEquals(ends(dir), [365, 90]);
});

Deno.test("a roll-over keeps keys under passphrases, the old one's and the next one's", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  const [passphrase, newPassphrase] = ["the old one", "another one"];
  await initAuthority({ dir, engine, passphrase });
  await issueHost({ dir, engine, host: "a", passphrase });
  await startRotation({ dir, engine, passphrase, newPassphrase, keyType: "ec-p384" });
  assertMatch(Deno.readTextFileSync(`${dir}/next/ca-key.pem`), /^-----BEGIN ENCRYPTED/);
  await assertRejects(
    () => issueRotation({ dir, engine, passphrase }),
    CaError,
    "cannot use CA key",
  );
  const issued = await issueRotation({ dir, engine, passphrase, newPassphrase });
  assertEquals(issued.left, []);
  await finishRotation({ dir, engine, passphrase: newPassphrase });
  await issueHost({ dir, engine, host: "b", passphrase: newPassphrase });
  assertWholeSet(`${dir}/hosts/b`);
});

Deno.test("a roll-over is the way out for a CA that has expired or is about to", async () => {
  using temp = temporaryDirectory();
  const clock = daysFromNow(-40);
  const hosts = [{ name: "a", clock, days: 20 }];
  const gone = await makePki(`${temp.path}/gone`, { clock, days: 30, hosts });
  const nearly = await makePki(`${temp.path}/nearly`, { clock, days: 41, hosts });
  for (const { dir } of [gone, nearly]) {
    await startRotation({ dir, engine, days: 3650 });
    const { left } = await issueRotation({ dir, engine });
    assertEquals(left, []);
    for (const verdict of await checkCredentials(`${dir}/hosts/a`, { engine })) {
      assertEquals([verdict.qemu, verdict.message], [verdict.qemu, ""]);
    }
    await finishRotation({ dir, engine });
    for (const verdict of await checkCredentials(`${dir}/hosts/a`, { engine })) {
      assertEquals([verdict.qemu, verdict.message], [verdict.qemu, ""]);
    }
    const [renewed] = (await renewHosts({ dir, engine, selection: { kind: "all" } })).outcomes;
    assert(renewed?.ok && !renewed.issued.cut);
  }
});

Deno.test("a roll-over takes along hosts that keep their keys, and leaves the revoked behind", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "gone" }] });
  const keys = await makeHostKeys({ host: "vm1", out: `${temp.path}/keys`, engine });
  await signRequests({ dir, engine, files: [keys.request] });
  await startRotation({ dir, engine });
  await revokeCertificates(["gone"], "keyCompromise", { dir, engine });
  const issued = await issueRotation({ dir, engine });
  assertEquals(issued.outcomes.map((one) => [one.host, one.ok]), [["a", true], ["vm1", true]]);
  assertEquals([issued.revoked, issued.left], [["gone"], []]);
  // What the old CA issued can still be revoked while hosts trust it.
  const { crl } = await revokeCertificates(["a"], "superseded", { dir, engine });
  assertEquals(crl.count, 6);
  const lists = decodePem(Deno.readTextFileSync(`${dir}/hosts/vm1/ca-crl.pem`))
    .map(({ der }) => parseCrl(der));
  assertEquals(lists.map(({ issuer, revoked }) => [issuer.text, revoked.size]), [
    ["OU=G2,CN=virtcreds CA", 2],
    ["CN=virtcreds CA", 4],
  ]);
  const [client] = takeSnapshots(dir, ["a"], "revoked", temp.path);
  Deno.copyFileSync(keys.keys[0]!, `${dir}/hosts/vm1/server-key.pem`);
  const [server] = takeSnapshots(dir, ["vm1"], "server", temp.path);
  Deno.removeSync(`${dir}/hosts/vm1/server-key.pem`);
  const before = `${dir}/previous/a`;
  for (const one of [client!, { ...client!, dir: before }]) {
    assertEquals(await meet(one, server!, engine), ["", "The certificate has been revoked"]);
  }
  const end = await finishRotation({ dir, engine });
  assertEquals(end.hosts, ["vm1"]);
});
