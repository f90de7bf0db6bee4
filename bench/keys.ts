/** Signing, checking and making keys, beside WebCrypto and openssl. */

import { chooseEngine, type KeyType, type SigningKey } from "../engine/mod.ts";
import { compare, type Contestant, mustRun, printTable } from "./measure.ts";

const ROUNDS = 3;
/** Time in ms that one run takes. */
const RUN = 500;

const ALGORITHMS: Readonly<Record<SigningKey["algorithm"], string>> = {
  "ecdsa-with-SHA256": "300a06082a8648ce3d040302",
  "ecdsa-with-SHA384": "300a06082a8648ce3d040303",
  "sha256WithRSAEncryption": "300d06092a864886f70d01010b0500",
  "Ed25519": "300506032b6570",
};

/** What `openssl speed` calls each kind. */
const OPENSSL: Readonly<Partial<Record<KeyType, string>>> = {
  "ec-p256": "ecdsap256",
  "ec-p384": "ecdsap384",
  "rsa-2048": "rsa2048",
  "ed25519": "ed25519",
};

/** Runs everything and prints tables. */
export async function benchKeys(): Promise<void> {
  const data = new Uint8Array(600);
  for (const type of Object.keys(OPENSSL) as KeyType[]) {
    const runs: Record<"sign" | "check" | "make", Contestant[]> = { sign: [], check: [], make: [] };
    for (const name of ["gnutls", "platform"] as const) {
      const engine = await chooseEngine(name);
      const key = await engine.generateKey(type);
      const check = {
        publicKey: key.publicKey,
        algorithm: Uint8Array.fromHex(ALGORITHMS[key.algorithm]),
        data,
        signature: await key.sign(data),
      };
      const label = name === "platform" ? "platform (WebCrypto, node:crypto)" : name;
      runs.sign.push({ name: label, run: () => rate(() => key.sign(data)) });
      runs.check.push({ name: label, run: () => rate(() => engine.verify(check)) });
      runs.make.push({
        name: label,
        run: () => rate(async () => (await engine.generateKey(type))[Symbol.dispose]()),
      });
    }
    const speed = await opensslSpeed(OPENSSL[type]!);
    runs.sign.push({ name: "openssl speed", run: () => Promise.resolve(speed.sign) });
    runs.check.push({ name: "openssl speed", run: () => Promise.resolve(speed.check) });
    for (const [what, contestants] of Object.entries(runs)) {
      printTable(`${type}, ${what}`, "1/s", "more", await compare(contestants, ROUNDS));
    }
  }
}

async function rate(work: () => unknown): Promise<number> {
  const start = performance.now();
  let count = 0;
  while (performance.now() - start < RUN) {
    await work();
    count++;
  }
  return count / ((performance.now() - start) / 1000);
}

/** The two numbers at the end of its last line. */
async function opensslSpeed(algorithm: string): Promise<{ sign: number; check: number }> {
  const text = await mustRun("openssl", ["speed", "-seconds", "1", algorithm]);
  const [sign, check] = text.trim().split("\n").at(-1)!.trim().split(/\s+/).slice(-2).map(Number);
  return { sign: sign!, check: check! };
}

if (import.meta.main) await benchKeys();
