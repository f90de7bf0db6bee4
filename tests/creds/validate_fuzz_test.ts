/** Path validation on input that nobody meant: an answer, soon, and never a wrong yes. */

import { assert } from "@std/assert";
import { encodePem } from "../../base/mod.ts";
import {
  checkCredentials,
  parseCertificate,
  type PathOptions,
  type PathResult,
  signatureCheck,
  validatePath,
} from "../../creds/mod.ts";
import { makeCertificate, PURPOSE } from "../support/certificates.ts";
import { type TestCertificate, writeCredentials } from "../support/certificates.ts";
import { makeList } from "../support/crls.ts";
import { enginesHere } from "../support/engines.ts";
import { Chance } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "./paths.ts";

const engines = await enginesHere();

const root = await makeCertificate({ subject: "CN=root", keyNumber: 1, ...CA });
const middle = await makeCertificate({ subject: "CN=a", keyNumber: 2, issuer: root, ...CA });
const leaf = await makeCertificate({
  subject: "O=Example, CN=host",
  issuer: middle,
  identifiers: true,
  dns: ["vm1.example", "*.example.org"],
  ip: ["192.0.2.1"],
  uri: ["https://example.org"],
  purposes: { critical: false, oids: [PURPOSE.server] },
});
const list = await makeList(middle, { entries: [{ serial: "55", reason: 1 }] });

function mutate(chance: Chance, bytes: Uint8Array): Uint8Array {
  const changed = bytes.slice();
  for (let i = 1 + chance.below(3); i > 0; i--) {
    const at = chance.below(changed.length);
    changed[at] = chance.happens(0.5)
      ? changed[at]! ^ (1 << chance.below(8))
      : chance.pick([0, 0x7f, 0x80, 0xff, 0x30, 0xa0]);
  }
  return changed;
}

const same = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.toHex() === b.toHex();

function validate(bytes: Uint8Array, options: PathOptions, where: string): PathResult {
  const start = performance.now();
  const result = validatePath(bytes, options);
  const took = performance.now() - start;
  assert(took < 5_000, `${where}: it took ${took} ms`);
  return result;
}

Deno.test("validatePath() gives an answer for any bytes, and never trusts what was changed", () => {
  const count = soakCount(10_000, 100);
  let refused = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const given = { leaf: leaf.der, middle: middle.der, root: root.der, list };
    const hurt = chance.pick(["leaf", "middle", "root", "list"] as const);
    const bytes = { ...given, [hurt]: mutate(chance, given[hurt]) };
    for (const engine of engines) {
      const result = validate(bytes.leaf, {
        engine,
        trusted: [bytes.root],
        intermediates: [bytes.middle],
        crls: [bytes.list],
        endpoint: "server",
        names: ["vm1.example"],
        conformance: chance.pick(["strict", "path"]),
        revocation: hurt === "list" ? "available" : chance.pick(["available", "required"]),
      }, `${hurt} of seed ${seed}`);
      if (!result.ok) refused++;
      // The signature of an anchor is nobody's business, and a list that is none is left out.
      if (hurt === "leaf" || hurt === "middle") {
        assert(!result.ok || same(bytes[hurt], given[hurt]), `${hurt} of seed ${seed}`);
      }
    }
  }
  assert(refused > 0);
  soakRow("paths with mutated bytes", count, `${refused} refused, no crash`);
});

Deno.test("checkCredentials() has a strict look at any files", async () => {
  const count = soakCount(2_000, 30);
  const pem = { cert: leaf.pem + middle.pem, ca: root.pem, key: leaf.keyPem };
  const codes = new Set<string>();
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const hurt = (one: TestCertificate) =>
      encodePem("CERTIFICATE", chance.happens(0.5) ? mutate(chance, one.der) : one.der);
    using dir = temporaryDirectory();
    writeCredentials(dir.path, "server", {
      ...pem,
      cert: hurt(leaf) + hurt(middle),
      ca: hurt(root),
      crl: encodePem("X509 CRL", chance.happens(0.5) ? mutate(chance, list) : list),
    });
    for (const engine of engines) {
      const options = { engine, strict: true, keys: new Map(), sanityCheck: chance.happens(0.5) };
      for (const { findings } of await checkCredentials(dir.path, options)) {
        for (const { code, cause } of findings) {
          codes.add(code);
          assert(cause.length > 0 && !cause.includes("undefined"), `seed ${seed}: ${cause}`);
        }
      }
    }
  }
  assert(codes.size > 5);
  soakRow("strict looks at mutated files", count, `${codes.size} codes, no crash`);
});

Deno.test("validatePath() finds a path through a maze exactly where there is one", async () => {
  const count = soakCount(1_000, 12);
  let found = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    const pool: TestCertificate[] = [];
    const entities = 2 + chance.below(5);
    const keyOf = (n: number) => 20 + n;
    const subjectOf = (n: number) => `CN=n${n % 4}`;
    const signer = (n: number) =>
      makeCertificate({ subject: subjectOf(n), keyNumber: keyOf(n), ...CA });
    const heads = await Promise.all(Array.from({ length: entities }, (_, n) => signer(n)));
    for (let i = 0; i < 3 * entities; i++) {
      const [above, below] = [chance.below(entities), chance.below(entities)];
      pool.push(
        await makeCertificate({
          subject: subjectOf(below),
          keyNumber: keyOf(below),
          issuer: heads[above]!,
          ...CA,
          ...(chance.happens(0.2) ? { hours: [-2, -1] as const } : {}),
        }),
      );
    }
    const host = await makeCertificate({
      subject: "CN=host",
      issuer: chance.pick(heads),
      identifiers: true,
      dns: ["vm1.example"],
    });
    const anchor = chance.pick(heads);
    const wanted = isReachable(host, anchor, pool, Date.now());
    for (const engine of engines) {
      const result = validate(host.der, {
        engine,
        trusted: [anchor.der],
        intermediates: pool.map((c) => c.der),
      }, `maze ${seed}`);
      assert(result.ok || result.code !== "budget", `maze ${seed}`);
      assert(result.ok === wanted, `maze ${seed}: ${result.ok ? "a path" : result.message}`);
      if (!result.ok) continue;
      found++;
      const check = signatureCheck(engine);
      for (const [i, certificate] of result.path.slice(0, -1).entries()) {
        assert(check(certificate, result.path[i + 1]!) === true);
      }
    }
  }
  assert(found > 0);
  soakRow("mazes of authorities", count, `${found} paths, all right`);
});

/** Whether keys lead from a host up to an anchor: another way to the same answer. */
function isReachable(
  host: TestCertificate,
  anchor: TestCertificate,
  pool: readonly TestCertificate[],
  now: number,
): boolean {
  const check = signatureCheck(engines[0]!);
  const parsed = pool.map(({ der }) => parseCertificate(der));
  const usable = parsed.filter((c) => c.notAfter.getTime() > now && c.notBefore.getTime() < now);
  const top = parseCertificate(anchor.der);
  const todo = [parseCertificate(host.der)];
  const seen = new Set<string>();
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    if (at.issuer.text === top.subject.text && check(at, top)) return true;
    for (const next of usable) {
      if (next.subject.text !== at.issuer.text || seen.has(next.raw.toHex())) continue;
      if (!check(at, next)) continue;
      seen.add(next.raw.toHex());
      todo.push(next);
    }
  }
  return false;
}
