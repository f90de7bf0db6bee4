import { assert, assertEquals } from "@std/assert";
import { der, derChildren, derOid, derSequence, readDerWhole, Tag } from "../../base/mod.ts";
import { validatePath } from "../../creds/mod.ts";
import { type CertificateSpec, PURPOSE } from "../support/certificates.ts";
import { authority, chain, engines, host, outcome } from "./paths.ts";

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
