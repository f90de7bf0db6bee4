import { assertEquals } from "@std/assert";
import { der, derInteger, derOid, derSequence } from "../../base/mod.ts";
import { type PathOptions } from "../../creds/mod.ts";
import { type CertificateSpec } from "../support/certificates.ts";
import { chain, outcome } from "./paths.ts";

const ANY = "2.5.29.32.0";
const policies = (...oids: string[]) => ({
  oid: "2.5.29.32",
  critical: false,
  value: derSequence(...oids.map((oid) => derSequence(derOid(oid)))),
});
const mappings = (...pairs: [string, string][]) => ({
  oid: "2.5.29.33",
  critical: true,
  value: derSequence(...pairs.map((pair) => derSequence(...pair.map(derOid)))),
});
const requireExplicit = (skip: number) => ({
  oid: "2.5.29.36",
  critical: true,
  value: derSequence(der(0x80, Uint8Array.of(skip))),
});
const inhibitAny = (skip: number) => ({
  oid: "2.5.29.54",
  critical: true,
  value: derInteger(skip),
});
const [P, Q, R] = ["1.2.3.1", "1.2.3.2", "1.2.3.3"] as const;

type Extensions = NonNullable<CertificateSpec["extensions"]>;

/** Extensions of a, b and the host; what is asked; whether there is a path. */
const POLICIES: readonly (readonly [
  Extensions,
  Extensions,
  Extensions,
  NonNullable<PathOptions["policies"]>,
  boolean,
])[] = [
  [[], [], [], {}, true],
  [[], [], [], { requireExplicit: true }, false],
  [[policies(P)], [policies(P)], [policies(P)], { requireExplicit: true }, true],
  [[policies(P)], [policies(P)], [policies(P)], { requireExplicit: true, acceptable: [Q] }, false],
  [[policies(P)], [policies(P)], [policies(P)], { acceptable: [Q] }, true],
  [[policies(P)], [policies(Q)], [policies(P)], { requireExplicit: true }, false],
  [[policies(P), requireExplicit(0)], [policies(P)], [policies(Q)], {}, false],
  [[policies(P), requireExplicit(3)], [], [], {}, true],
  [[policies(P), requireExplicit(2)], [], [], {}, false],
  [
    [policies(ANY)],
    [policies(ANY)],
    [policies(P)],
    { requireExplicit: true, acceptable: [P] },
    true,
  ],
  [
    [policies(ANY)],
    [policies(P)],
    [policies(ANY)],
    { requireExplicit: true, acceptable: [P] },
    true,
  ],
  [
    [policies(ANY)],
    [policies(ANY)],
    [policies(ANY)],
    { requireExplicit: true, inhibitAny: true },
    false,
  ],
  [[policies(P), inhibitAny(0)], [policies(ANY)], [policies(P)], { requireExplicit: true }, false],
  [[policies(P), inhibitAny(1)], [policies(ANY)], [policies(P)], { requireExplicit: true }, true],
  [[policies(P), mappings([P, Q])], [policies(Q)], [policies(Q)], {
    requireExplicit: true,
    acceptable: [P],
  }, true],
  [[policies(P), mappings([P, Q])], [policies(P)], [policies(P)], { requireExplicit: true }, false],
  [
    [policies(P), mappings([P, Q], [P, R])],
    [policies(R)],
    [policies(R)],
    { requireExplicit: true },
    true,
  ],
  [[policies(P), mappings([P, Q])], [policies(Q)], [policies(Q)], {
    requireExplicit: true,
    inhibitMapping: true,
  }, false],
  [[policies(ANY), mappings([P, Q])], [policies(Q)], [policies(Q)], {
    requireExplicit: true,
    acceptable: [P],
  }, true],
  [[policies(P), mappings([P, ANY])], [policies(P)], [policies(P)], {}, false],
];

Deno.test("validatePath() follows policies, mappings and their constraints", async () => {
  for (const [i, [ofA, ofB, ofHost, input, isFine]] of POLICIES.entries()) {
    const made = await chain({
      a: { extensions: ofA },
      b: { extensions: ofB },
      host: { extensions: ofHost },
    });
    const said = outcome(made.leaf, [made.root], made.pool, { policies: input });
    assertEquals(said, isFine ? "CN=host < CN=b < CN=a < CN=root" : "policy", `row ${i}`);
  }
});

Deno.test("validatePath() gives policies up that would grow without bound", async () => {
  const many = Array.from({ length: 100 }, (_, i) => `1.2.4.${i}`);
  const crossed = many.flatMap((from) =>
    many.slice(0, 60).map((to): [string, string] => [from, to])
  );
  const made = await chain({
    a: { extensions: [policies(...many), mappings(...crossed)] },
    b: { extensions: [policies(...many)] },
  });
  const asked = { policies: { requireExplicit: true } };
  assertEquals(outcome(made.leaf, [made.root], made.pool, asked), "budget");
});
