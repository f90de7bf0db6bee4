/**
 * C2SP's x509-limbo, 208 cases of path validation by people who break validators. The vectors are
 * no part of the project: they lie beside it, and where they do not, nothing is tested.
 */

import { gunzipSync } from "node:zlib";
import { assert, assertEquals } from "@std/assert";
import { decodePem } from "../../base/mod.ts";
import { type KeyUsage, type PathResult, validatePath } from "../../creds/mod.ts";
import type { Engine } from "../../engine/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { soakRow } from "../support/soak.ts";

interface LimboCase {
  readonly id: string;
  readonly validation_kind: "SERVER" | "CLIENT";
  readonly trusted_certs: readonly string[];
  readonly untrusted_intermediates: readonly string[];
  readonly peer_certificate: string;
  readonly validation_time: string | null;
  readonly key_usage: readonly KeyUsage[];
  readonly expected_result: "SUCCESS" | "FAILURE";
  readonly expected_peer_name: { readonly value: string } | null;
  readonly expected_peer_names: readonly { readonly value: string }[];
  readonly max_chain_depth: number | null;
  readonly crls: readonly string[];
}

/** Where this validation judges otherwise, and why. */
const EXCEPTIONS: Readonly<Record<string, string>> = {
  "rfc5280::aki::cross-signed-root-missing-aki":
    "who issued a trust anchor is of no concern; cve::cve-2024-0567 has such an anchor and wants success",
};

/** Rules of the public web that RFC 5280 does not have, or has otherwise; the count is watched. */
const WEBPKI_AGREEMENT = 29;

const wanted = Deno.env.get("VIRTCREDS_VECTORS");
const vectors = wanted ?? new URL("../../../shared/vectors/limbo.json.gz", import.meta.url);

function readCases(): readonly LimboCase[] | undefined {
  try {
    const text = new TextDecoder().decode(gunzipSync(Deno.readFileSync(vectors)));
    return JSON.parse(text).testcases;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return undefined;
  }
}

const cases = readCases();

function judge(
  one: LimboCase,
  engine: Engine,
  conformance: "strict" | "path" = "strict",
): PathResult {
  const der = (pem: string) => decodePem(pem)[0]!.der;
  const names = one.expected_peer_name ? [one.expected_peer_name] : one.expected_peer_names;
  return validatePath(der(one.peer_certificate), {
    engine,
    conformance,
    trusted: one.trusted_certs.map(der),
    intermediates: one.untrusted_intermediates.map(der),
    crls: one.crls.map(der),
    endpoint: one.validation_kind === "SERVER" ? "server" : "client",
    keyUsage: one.key_usage,
    names: names.map(({ value }) => value),
    ...(one.validation_time === null ? {} : { at: new Date(one.validation_time) }),
    ...(one.max_chain_depth === null ? {} : { maxDepth: one.max_chain_depth }),
  });
}

const agrees = (one: LimboCase, result: PathResult): boolean =>
  result.ok === (one.expected_result === "SUCCESS");

const say = (result: PathResult): string =>
  result.ok ? "accepted" : `${result.code}: ${result.message}`;

Deno.test("the vectors of x509-limbo are there where they have to be", () => {
  assert(cases !== undefined || wanted === undefined, `${wanted} is missing`);
});

for (const engine of await enginesHere()) {
  Deno.test({
    name: `validatePath() judges as x509-limbo does, with ${engine.name}`,
    ignore: cases === undefined,
    fn() {
      const ours = cases!.filter(({ id }) => !id.startsWith("webpki::"));
      let agreed = 0;
      for (const one of ours) {
        const result = judge(one, engine);
        const isSame = agrees(one, result);
        if (isSame) agreed++;
        const reason = EXCEPTIONS[one.id];
        if (reason === undefined) assert(isSame, `${one.id}: ${say(result)}`);
        else assert(!isSame, `${one.id} is an exception no more: ${reason}`);
      }
      const known = new Set(ours.map(({ id }) => id));
      assertEquals(Object.keys(EXCEPTIONS).filter((id) => !known.has(id)), []);
      assert(agreed / ours.length >= 0.97, `${agreed} of ${ours.length}`);
      soakRow(`x509-limbo, ${engine.name}`, ours.length, `${agreed} agree`);
    },
  });

  Deno.test({
    name: `validatePath() takes so many of the public web's own rules, with ${engine.name}`,
    ignore: cases === undefined,
    fn() {
      const web = cases!.filter(({ id }) => id.startsWith("webpki::"));
      const agreed = web.filter((one) => agrees(one, judge(one, engine))).length;
      assertEquals(agreed, WEBPKI_AGREEMENT, `of ${web.length}`);
      soakRow(`x509-limbo's webpki, ${engine.name}`, web.length, `${agreed} agree`);
    },
  });

  Deno.test({
    name: `validatePath() gives hostile chains up soon, with ${engine.name}`,
    ignore: cases === undefined,
    fn() {
      for (const one of cases!.filter(({ id }) => id.startsWith("pathological::"))) {
        const found = (["strict", "path"] as const).map((conformance) => {
          const start = performance.now();
          const result = judge(one, engine, conformance);
          // Hundreds of times what it takes, for machines that are busy: it must end.
          assert(performance.now() - start < 20_000, one.id);
          assert(agrees(one, result), `${one.id}: ${say(result)}`);
          return result.ok ? "accepted" : result.code;
        });
        const wanted = BUDGETED[one.id] ?? [];
        assertEquals(found.map((code) => code === "budget"), [
          wanted.includes("strict"),
          wanted.includes("path"),
        ], `${one.id}: ${found}`);
      }
    },
  });
}

/** The cases that run into a bound, by what is checked; the others end by themselves. */
const BUDGETED: Readonly<Record<string, readonly ("strict" | "path")[]>> = {
  "pathological::nc-dos-1": ["strict", "path"],
  "pathological::nc-dos-2": ["strict", "path"],
  "pathological::pathological-chain-same-subject-distinct-key": ["path"],
  "pathological::pathological-chain-same-subject-same-key": ["path"],
};
