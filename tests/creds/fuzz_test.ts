/** Bytes and texts that nobody meant: no crash, no hang, one type of error. */

import { assert, assertInstanceOf } from "@std/assert";
import { BaseError, decodePem, VirtcredsError } from "../../base/mod.ts";
import {
  certificateNames,
  checkCredentials,
  matchHostname,
  ObjectRegistry,
  parseCertificate,
  parseCrl,
  signatureCheck,
  verifyPeerChain,
} from "../../creds/mod.ts";
import { makeCertificate, makeCrl, PURPOSE, writeCredentials } from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";
import { OBJECT_CASES } from "../support/object_cases.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engines = await enginesHere();

const ca = await makeCertificate({
  subject: "C=GB, O=Example, CN=ca",
  keyNumber: 1,
  identifiers: true,
  basicConstraints: { critical: true, ca: true, pathLength: 1 },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
});
const leaf = await makeCertificate({
  subject: "C=GB, O=Example, CN=vm1",
  issuer: ca,
  identifiers: true,
  dns: ["vm1.example", "*.example.org"],
  ip: ["192.0.2.1", "2001:db8::1"],
  uri: ["https://example.org"],
  basicConstraints: { critical: true, ca: false },
  keyUsage: { critical: true, usages: ["digitalSignature"] },
  purposes: { critical: true, oids: [PURPOSE.server] },
});
const crlPem = await makeCrl(ca, ["01", "02", "aabbcc"]);

/** Changes a few bytes: flips, cuts, repeats, lengths. */
function mutate(chance: Chance, bytes: Uint8Array): Uint8Array {
  let changed: Uint8Array = bytes.slice();
  for (let i = 1 + chance.below(4); i > 0 && changed.length > 0; i--) {
    const at = chance.below(changed.length);
    const to = at + chance.below(changed.length - at + 1);
    changed = chance.pick<() => Uint8Array>([
      () => changed.with(at, changed[at]! ^ (1 << chance.below(8))),
      () => changed.with(at, chance.pick([0, 0x7f, 0x80, 0x81, 0x84, 0xff, 0x30, 0xa0])),
      () => Uint8Array.from([...changed.subarray(0, at), ...changed.subarray(to)]),
      () => Uint8Array.from([...changed.subarray(0, to), ...changed.subarray(at)]),
      () => changed.subarray(0, at),
    ])();
  }
  return changed;
}

const text = new TextEncoder();
const LIMIT = 50;

/** The longest that one input took so far, in ms; a busy machine adds to it. */
let slowest = 0;

/** Runs the work, lets one type of error pass, and nothing that takes long. */
function survive(work: () => void, where: string): boolean {
  const start = performance.now();
  let accepted = true;
  try {
    work();
  } catch (error) {
    assertInstanceOf(error, BaseError, `${where}: ${error}`);
    accepted = false;
  }
  const took = performance.now() - start;
  slowest = Math.max(slowest, took);
  assert(took < LIMIT * 10, `${where}: it took ${took} ms`);
  return accepted;
}

Deno.test("parseCertificate() and parseCrl() give data or a DER error for any bytes", () => {
  const count = soakCount(10_000);
  const now = new Date();
  const contexts = engines.map((engine) => ({ now, isSignedBy: signatureCheck(engine) }));
  const anchor = parseCertificate(ca.der);
  let accepted = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const bytes = mutate(chance, chance.pick([leaf.der, ca.der]));
    const good = survive(() => {
      const certificate = parseCertificate(bytes);
      certificateNames(certificate);
      matchHostname(certificate, "vm1.example");
      for (const context of contexts) {
        const status = verifyPeerChain([certificate], [anchor], [], context);
        assert(
          status.flags.size > 0 ||
            bytes.every((octet, i) => octet === leaf.der[i] || octet === ca.der[i]),
        );
      }
    }, `certificate of seed ${seed}`);
    if (good) accepted++;
    const list = mutate(chance, decodePem(crlPem)[0]!.der);
    survive(() => void parseCrl(list), `CRL of seed ${seed}`);
  }
  assert(accepted > 0);
  const took = `the slowest took ${slowest.toFixed(1)} ms`;
  soakRow("mutated certificates and CRLs", count, `${accepted} parsed, no crash, ${took}`);
});

Deno.test("checkCredentials() gives a verdict for any files", async () => {
  const count = soakCount(2_000, 30);
  let refused = 0;
  let longest = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    using dir = temporaryDirectory();
    const maybe = (pem: string) => {
      if (chance.happens(0.5)) return pem;
      return new TextDecoder("latin1").decode(mutate(chance, text.encode(pem)));
    };
    writeCredentials(dir.path, "server", {
      ca: maybe(ca.pem),
      cert: maybe(leaf.pem + ca.pem),
      key: maybe(leaf.keyPem),
      crl: maybe(crlPem),
    });
    for (const engine of engines) {
      const start = performance.now();
      const verdicts = await checkCredentials(dir.path, {
        engine,
        expiresIn: 1e9,
        hostnames: ["vm1"],
      });
      longest = Math.max(longest, performance.now() - start);
      if (!verdicts[0]!.ok) refused++;
      for (const { ok, message } of verdicts) assert(ok === (message === ""));
    }
  }
  assert(refused > 0);
  const took = `the slowest took ${longest.toFixed(1)} ms`;
  soakRow("directories of mutated files", count, `${refused} refused, no crash, ${took}`);
});

Deno.test("ObjectRegistry.add() makes an object or gives an error of ours for any text", async () => {
  const count = soakCount(10_000);
  const engine = engines[0]!;
  const texts = OBJECT_CASES.map(([objects]) => objects.at(-1)!);
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    using registry = new ObjectRegistry({ engine });
    const option = new TextDecoder().decode(mutate(chance, text.encode(chance.pick(texts))));
    try {
      await registry.add(option);
    } catch (error) {
      assertInstanceOf(error, VirtcredsError, `seed ${seed}: ${option}: ${error}`);
      assert(!error.message.includes("\n"), `seed ${seed}: ${error.message}`);
    }
  }
  soakRow("mutated object texts", count, "no crash");
});

Deno.test("no finding and no error shows a byte of a private key", async () => {
  const key = leaf.keyPem.split("\n")[1]!.slice(8, 40);
  const count = soakCount(500, 20);
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    using dir = temporaryDirectory();
    const hurt = new TextDecoder("latin1").decode(mutate(chance, text.encode(leaf.keyPem)));
    writeCredentials(dir.path, "server", { ca: ca.pem, cert: leaf.pem, key: hurt });
    for (const engine of engines) {
      const said = JSON.stringify(await checkCredentials(dir.path, { engine }));
      assert(!said.includes(key));
      using registry = new ObjectRegistry({ engine });
      const object = `tls-creds-x509,id=t,dir=${dir.path},endpoint=server,sanity-check=off`;
      const error = await registry.add(object).catch((thrown: unknown) => thrown);
      if (error instanceof VirtcredsError) {
        assert(!JSON.stringify([error.message, error.facts]).includes(key));
      } else assert(error === undefined, String(error));
    }
  }
});
