import { assert, assertEquals } from "@std/assert";
import {
  der,
  derChildren,
  derInteger,
  derOid,
  derSequence,
  readDerWhole,
  Tag,
} from "../../base/mod.ts";
import { type PathOptions, validatePath } from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  PURPOSE,
  type TestCertificate,
} from "../support/certificates.ts";
import { enginesHere } from "../support/engines.ts";

const engines = await enginesHere();

const CA: Omit<CertificateSpec, "subject"> = {
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
  identifiers: true,
};

const authority = (
  subject: string,
  keyNumber: number,
  issuer?: TestCertificate,
  more: Partial<CertificateSpec> = {},
) => makeCertificate({ subject, keyNumber, ...CA, ...(issuer && { issuer }), ...more });

const host = (issuer: TestCertificate, more: Partial<CertificateSpec> = {}) =>
  makeCertificate({ subject: "CN=host", issuer, identifiers: true, dns: ["vm1.example"], ...more });

/** The outcome with every engine: the code, or the subjects of the path. */
function outcome(
  leaf: TestCertificate,
  trusted: readonly TestCertificate[],
  intermediates: readonly TestCertificate[] = [],
  options: Partial<PathOptions> = {},
): string {
  const found = engines.map((engine) => {
    const result = validatePath(leaf.der, {
      engine,
      trusted: trusted.map((c) => c.der),
      intermediates: intermediates.map((c) => c.der),
      ...options,
    });
    return result.ok ? result.path.map(({ subject }) => subject.text).join(" < ") : result.code;
  });
  for (const one of found) assertEquals(one, found[0]);
  return found[0]!;
}

const root = await authority("CN=root", 1);
const a = await authority("CN=a", 2, root);
const b = await authority("CN=b", 3, a);
const leaf = await host(b);

Deno.test("validatePath() finds the path whatever the order, among certificates that lead nowhere", async () => {
  const namesake = await authority("CN=b", 4, a);
  const stray = await authority("CN=stray", 5);
  const expired = await authority("CN=a", 2, root, { hours: [-4, -2] });
  const pool = [namesake, stray, expired, b, a];
  for (const intermediates of [pool, pool.toReversed(), [b, expired, a, namesake]]) {
    const found = outcome(leaf, [stray, root], intermediates);
    assertEquals(found, "CN=host < CN=b < CN=a < CN=root");
  }
});

Deno.test("validatePath() goes back from an authority that is certified by nobody it trusts", async () => {
  const other = await authority("CN=other root", 6);
  const crossed = await authority("CN=a", 2, other, { hours: [-1, 1000] });
  assertEquals(outcome(leaf, [root], [crossed, b, a]), "CN=host < CN=b < CN=a < CN=root");
  assertEquals(outcome(leaf, [other], [crossed, b, a]), "CN=host < CN=b < CN=a < CN=other root");
  assertEquals(outcome(leaf, [root], [crossed, b]), "no-issuer");
});

Deno.test("validatePath() ends on authorities that certify each other", async () => {
  const x = await authority("CN=x", 7);
  const y = await authority("CN=y", 8, x);
  const back = await authority("CN=x", 7, y);
  const below = await host(y);
  assertEquals(outcome(below, [root], [y, back]), "loop");
  assertEquals(outcome(below, [x], [y, back]), "CN=host < CN=y < CN=x");
});

Deno.test("validatePath() follows an authority through its own change of keys", async () => {
  const renewed = await authority("CN=root", 9);
  const newWithOld = await authority("CN=root", 9, root);
  const oldWithNew = await authority("CN=root", 1, renewed);
  const young = await host(renewed);
  assertEquals(outcome(young, [root], [newWithOld]), "CN=host < CN=root < CN=root");
  assertEquals(outcome(await host(root), [renewed], [oldWithNew]), "CN=host < CN=root < CN=root");
  const short = await authority("CN=root", 1, undefined, {
    basicConstraints: { critical: true, ca: true, pathLength: 0 },
  });
  assertEquals(outcome(young, [short], [newWithOld]), "CN=host < CN=root < CN=root");
});

Deno.test("validatePath() takes any certificate that is trusted for the end", () => {
  assertEquals(outcome(leaf, [a], [b]), "CN=host < CN=b < CN=a");
  assertEquals(outcome(leaf, [leaf]), "CN=host");
  assertEquals(outcome(leaf, []), "no-issuer");
});

Deno.test("validatePath() compares names without case and spaces, and strings of any kind", async () => {
  const issuer = await authority("CN=Rack  Seven CA, O=Example", 10);
  for (const subject of ["CN=rack seven ca, O=EXAMPLE", "CN=  Rack Seven   CA , O=example"]) {
    const below = await host({ ...issuer, subject });
    assert(outcome(below, [issuer]).startsWith("CN=host < "), subject);
  }
  for (const subject of ["O=Example, CN=Rack Seven CA", "CN=Rack SevenCA, O=Example", "CN=Rack"]) {
    assertEquals(outcome(await host({ ...issuer, subject }), [issuer]), "no-issuer", subject);
  }
  const bmp = await authority("CN=R7", 11);
  const renamed = replaceName(bmp.der, Tag.BMP_STRING, Uint8Array.of(0, 114, 0, 55));
  const said = outcome(await host(bmp), [{ ...bmp, der: renamed }]);
  assert(said.startsWith("CN=host < "), said);
});

/** Writes the common names of an anchor, whose signature does not matter, as another string. */
function replaceName(certificate: Uint8Array, tag: number, value: Uint8Array): Uint8Array {
  const name = derSequence(der(Tag.SET, derSequence(derOid("2.5.4.3"), der(tag, value))));
  const [tbs, ...rest] = derChildren(readDerWhole(certificate));
  const fields = derChildren(tbs!).map(({ raw }) => raw);
  return derSequence(derSequence(...fields.with(3, name).with(5, name)), ...rest.map((e) => e.raw));
}

/** What is wrong with one certificate of root < a < b < host, and the code that it leads to. */
const FAULTS: readonly (readonly [
  code: string,
  who: "root" | "a" | "b" | "host",
  spec: Partial<CertificateSpec>,
])[] = [
  ["expired", "root", { hours: [-2, -1] }],
  ["expired", "a", { hours: [-2, -1] }],
  ["expired", "host", { hours: [-2, -1] }],
  ["not-yet-valid", "b", { hours: [1, 2] }],
  ["not-an-authority", "a", {
    basicConstraints: { critical: true, ca: false },
    keyUsage: undefined as never,
  }],
  ["not-an-authority", "b", { basicConstraints: undefined as never, keyUsage: undefined as never }],
  ["not-an-authority", "root", {
    basicConstraints: undefined as never,
    keyUsage: undefined as never,
  }],
  ["path-length", "root", { basicConstraints: { critical: true, ca: true, pathLength: 1 } }],
  ["path-length", "a", { basicConstraints: { critical: true, ca: true, pathLength: 0 } }],
  ["key-usage", "a", { keyUsage: { critical: false, usages: ["cRLSign"] } }],
  ["key-usage", "root", { keyUsage: { critical: true, usages: ["digitalSignature"] } }],
  ["purpose", "host", { purposes: { critical: false, oids: [PURPOSE.client] } }],
  ["purpose", "a", { purposes: { critical: false, oids: [PURPOSE.client] } }],
  ["critical-extension", "host", unknown()],
  ["critical-extension", "a", unknown()],
  ["critical-extension", "root", unknown()],
  ["malformed", "b", {
    extensions: [{ oid: "2.5.29.37", critical: false, value: Uint8Array.of(48, 0) }],
  }],
  ["malformed", "b", {
    extensions: [{ oid: "2.5.29.36", critical: true, value: Uint8Array.of(5, 0) }],
  }],
  ["weak", "host", { hash: "SHA-1" }],
  ["weak", "a", { hash: "SHA-1" }],
  ["nonconforming", "host", { serial: "00ff".padEnd(44, "0") }],
  ["nonconforming", "host", { identifiers: false }],
  ["nonconforming", "a", { identifiers: false }],
  ["nonconforming", "root", { identifiers: false }],
  ["nonconforming", "b", { basicConstraints: { critical: false, ca: true } }],
  ["nonconforming", "host", { keyUsage: { critical: true, usages: ["keyCertSign"] } }],
  ["nonconforming", "host", { dns: ["bad_name.example"] }],
  ["nonconforming", "host", { dns: ["*.*.example"] }],
  ["peer-name", "host", { dns: ["vm2.example"] }],
  ["peer-name", "host", { dns: ["*.vm1.example"] }],
  ["peer-name", "host", { subject: "CN=vm1.example", dns: [] }],
];

function unknown(): Partial<CertificateSpec> {
  return { extensions: [{ oid: "1.2.3.4", critical: true, value: Uint8Array.of(5, 0) }] };
}

async function chain(
  wrong: Partial<Record<"root" | "a" | "b" | "host", Partial<CertificateSpec>>>,
) {
  const r = await authority("CN=root", 1, undefined, wrong.root);
  const x = await authority("CN=a", 2, r, wrong.a);
  const y = await authority("CN=b", 3, x, wrong.b);
  return { leaf: await host(y, wrong.host), root: r, pool: [x, y] };
}

for (const [code, who, spec] of FAULTS) {
  Deno.test(`validatePath() says ${code} of ${who}: ${JSON.stringify(spec)}`, async () => {
    const made = await chain({ [who]: spec });
    const options = { endpoint: "server", names: ["vm1.example"] } as const;
    assertEquals(outcome(made.leaf, [made.root], made.pool, options), code);
    if (code !== "nonconforming") return;
    const lenient = { endpoint: "server", conformance: "path" } as const;
    assert(outcome(made.leaf, [made.root], made.pool, lenient).startsWith("CN=host"));
  });
}

Deno.test("validatePath() says what is not a certificate, and what is signed by somebody else", async () => {
  const engine = engines[0]!;
  const said = validatePath(Uint8Array.of(48, 0), { engine, trusted: [root.der] });
  assert(!said.ok && said.code === "malformed" && said.section === "4.1");
  assertEquals(
    outcome(await host({ ...b, keys: a.keys }, { identifiers: false }), [root], [a, b], {
      conformance: "path",
    }),
    "signature",
  );
  const wild = await host(b, { dns: ["*.example.org"] });
  const names = (...wanted: string[]) => outcome(wild, [root], [a, b], { names: wanted });
  assert(names("x.example.org", "Y.EXAMPLE.ORG").startsWith("CN=host"));
  for (const name of ["example.org", "a.b.example.org", "192.0.2.1", ""]) {
    assertEquals(names(name), "peer-name", name);
  }
});

Deno.test("validatePath() takes everything for expired at a moment that is none", () => {
  assertEquals(outcome(leaf, [root], [a, b], { at: new Date(NaN) }), "expired");
});

Deno.test("validatePath() keeps to the depth and the budget that it is given", () => {
  const depth = (maxDepth: number) => outcome(leaf, [root], [a, b], { maxDepth });
  assertEquals([depth(1), depth(2)], ["depth", "CN=host < CN=b < CN=a < CN=root"]);
  for (const budget of [{ signatures: 2 }, { steps: 2 }, { bytes: 1000 }]) {
    assertEquals(outcome(leaf, [root], [a, b], { budget }), "budget", JSON.stringify(budget));
  }
  assertEquals(outcome(leaf, [root], [a, b], { budget: { signatures: 3, steps: 3 } }), depth(2));
});

/** Kind of constraint, its base, a name of the host, and whether it may have that. */
const NAMES: readonly (readonly [
  list: "permitted" | "excluded",
  base: Uint8Array,
  spec: Partial<CertificateSpec>,
  isFine: boolean,
])[] = [
  ["permitted", dns("example.org"), { dns: ["vm1.example.org"] }, true],
  ["permitted", dns("example.org"), { dns: ["example.org", "EXAMPLE.org"] }, true],
  ["permitted", dns("example.org"), { dns: ["badexample.org"] }, false],
  ["permitted", dns("example.org"), { dns: ["vm1.example.org", "vm1.example.com"] }, false],
  ["permitted", dns("example.org"), { dns: ["*.example.org"] }, true],
  ["permitted", dns("vm1.example.org"), { dns: ["*.example.org"] }, false],
  ["permitted", dns("example.org"), { dns: [], ip: ["192.0.2.1"] }, true],
  ["excluded", dns("example.org"), { dns: ["vm1.example.org"] }, false],
  ["excluded", dns("vm1.example.org"), { dns: ["*.example.org"] }, false],
  ["excluded", dns("a.vm1.example.org"), { dns: ["*.example.org"] }, true],
  ["excluded", dns(""), { dns: ["vm1.example.org"] }, false],
  ["permitted", dns(".example.org"), { dns: ["vm1.example.org"] }, false],
  ["permitted", dns("*.example.org"), { dns: ["vm1.example.org"] }, false],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["192.0.2.7"] }, true],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["192.0.3.7"] }, false],
  ["permitted", ip("c0000200ffffff00"), { dns: [], ip: ["2001:db8::1"] }, true],
  ["excluded", ip("00000000000000000000000000000000".repeat(2)), { dns: [], ip: ["::1"] }, false],
  ["permitted", ip("c0000200ff00ff00"), { dns: [], ip: ["192.0.2.7"] }, false],
  ["permitted", ip("c0000200"), { dns: [], ip: ["192.0.2.7"] }, false],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://example.org:8/x"] }, true],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://vm1.example.org/"] }, false],
  ["permitted", uri(".example.org"), { dns: [], uri: ["https://u@vm1.example.org"] }, true],
  ["permitted", uri("example.org"), { dns: [], uri: ["urn:example.org"] }, false],
  ["permitted", uri("example.org"), { dns: [], uri: ["https://192.0.2.1/"] }, false],
  ["excluded", uri("example.org"), { dns: [], uri: ["https://[::1]/"] }, false],
  ["permitted", directory("CN=root"), { subject: "CN=ROOT , CN=host" }, true],
  ["permitted", directory("CN=root"), { subject: "CN=host" }, false],
  ["excluded", directory("CN=host"), { subject: "CN=Host, OU=x" }, false],
  ["permitted", email("example.org"), { subject: "CN=host, E=me@example.org" }, true],
  ["permitted", email("example.org"), { subject: "CN=host, E=me@vm1.example.org" }, false],
  ["permitted", email(".example.org"), { subject: "CN=host, E=me@vm1.example.org" }, true],
  ["permitted", email("me@example.org"), { subject: "CN=host, E=ME@example.org" }, false],
  ["excluded", email("example.org"), { subject: "CN=host, E=x" }, false],
];

function dns(name: string): Uint8Array {
  return der(0x82, new TextEncoder().encode(name));
}
function email(name: string): Uint8Array {
  return der(0x81, new TextEncoder().encode(name));
}
function uri(name: string): Uint8Array {
  return der(0x86, new TextEncoder().encode(name));
}
function ip(hex: string): Uint8Array {
  return der(0x87, Uint8Array.fromHex(hex));
}
function directory(name: string): Uint8Array {
  const value = der(Tag.UTF8_STRING, new TextEncoder().encode(name.replace("CN=", "")));
  return der(0xa4, derSequence(der(Tag.SET, derSequence(derOid("2.5.4.3"), value))));
}

function constrained(list: "permitted" | "excluded", ...bases: Uint8Array[]) {
  const tag = list === "permitted" ? 0xa0 : 0xa1;
  const value = derSequence(der(tag, ...bases.map((base) => derSequence(base))));
  return { extensions: [{ oid: "2.5.29.30", critical: true, value }] };
}

Deno.test("validatePath() holds every form of name against the constraints of every authority", async () => {
  for (const [list, base, spec, isFine] of NAMES) {
    for (const who of ["root", "b"] as const) {
      // Only the host's own name is to be out of bounds.
      const subject = who === "root" && base[0] === 0xa4 ? { subject: "CN=root" } : {};
      if (subject.subject && list === "permitted" && who === "root") continue;
      const made = await chain({ [who]: constrained(list, base), host: spec });
      const said = outcome(made.leaf, [made.root], made.pool);
      const row = `${list} ${base.toHex()} of ${who}: ${JSON.stringify(spec)}: ${said}`;
      assertEquals(said.includes("<"), isFine, row);
      if (!isFine) assertEquals(said, "name-constraints", row);
    }
  }
});

Deno.test("validatePath() does not hold constraints against an authority's own change of keys", async () => {
  const parent = await authority(
    "CN=root",
    1,
    undefined,
    constrained("permitted", directory("CN=host")),
  );
  const own = await authority("CN=root", 9, parent);
  assertEquals(outcome(await host(own), [parent], [own]), "CN=host < CN=root < CN=root");
  const other = await authority("CN=a", 9, parent);
  assertEquals(outcome(await host(other), [parent], [other]), "name-constraints");
});

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
