import { assert, assertEquals } from "@std/assert";
import {
  type Certificate,
  type ChainFlag,
  isIssuedBy,
  parseCertificate,
  parseCrl,
  signatureCheck,
  verifyChain,
  verifyPeerChain,
} from "../../creds/mod.ts";
import { decodePem } from "../../base/mod.ts";
import { der, derSequence } from "../../base/mod.ts";
import { type CertificateSpec, makeCertificate, makeCrl } from "../support/certificates.ts";
import { pair } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { Chance, randomAuthority } from "../support/random_credentials.ts";
import { soakCount, soakRow } from "../support/soak.ts";

const engines = await enginesHere();
const contexts = engines.map((engine) => ({
  get now() {
    return new Date();
  },
  isSignedBy: signatureCheck(engine),
}));

const CA: Omit<CertificateSpec, "subject"> = {
  basicConstraints: { critical: true, ca: true },
  keyUsage: { critical: true, usages: ["keyCertSign", "cRLSign"] },
};

/** Root, two authorities under it, a leaf: with what is wrong with each of them. */
async function chain(
  wrong: Partial<Record<"root" | "a" | "b" | "leaf", Partial<CertificateSpec>>> = {},
) {
  const root = await makeCertificate({ subject: "CN=root", keyNumber: 1, ...CA, ...wrong.root });
  const a = await makeCertificate({
    subject: "CN=a",
    keyNumber: 2,
    issuer: root,
    ...CA,
    ...wrong.a,
  });
  const b = await makeCertificate({ subject: "CN=b", keyNumber: 3, issuer: a, ...CA, ...wrong.b });
  const leaf = await makeCertificate({ subject: "CN=leaf", issuer: b, ...wrong.leaf });
  const parsed = [root, a, b, leaf].map(({ der }) => parseCertificate(der));
  const [r, x, y, l] = parsed as [Certificate, Certificate, Certificate, Certificate];
  return { root: r, a: x, b: y, leaf: l, made: { root, a, b, leaf } };
}

function flagsOf(sent: readonly Certificate[], anchors: readonly Certificate[]): ChainFlag[][] {
  return contexts.map((context) => [...verifyPeerChain(sent, anchors, [], context).flags]);
}

function assertFlags(
  sent: readonly Certificate[],
  anchors: readonly Certificate[],
  wanted: ChainFlag[],
) {
  for (const flags of flagsOf(sent, anchors)) assertEquals(flags, wanted);
}

Deno.test("verifyPeerChain() takes a chain up to its root, or up to any anchor below", async () => {
  const { root, a, b, leaf } = await chain();
  assertFlags([leaf, b, a], [root], []);
  assertFlags([leaf, b, a, root], [root], []);
  assertFlags([leaf, b], [a], []);
  assertFlags([leaf], [b], []);
  assertFlags([leaf], [leaf], []);
});

Deno.test("verifyPeerChain() looks for an anchor at the end of the chain only", async () => {
  const { a, b, leaf } = await chain();
  assertFlags([leaf, b, a], [b], ["invalid", "signerNotFound"]);
  assertFlags([leaf, b, a], [a], []);
});

Deno.test("verifyPeerChain() takes the certificates of a peer in any order, and twice", async () => {
  const { root, a, b, leaf } = await chain();
  assertFlags([leaf, a, b], [root], []);
  assertFlags([leaf, leaf, b, a, a], [root], []);
});

Deno.test("verifyPeerChain() finds no issuer where one is missing", async () => {
  const { root, a, b, leaf } = await chain();
  assertFlags([leaf], [root], ["invalid", "signerNotFound"]);
  assertFlags([leaf, a], [root], ["invalid", "signerNotFound"]);
  assertFlags([leaf, b, a, root], [], ["invalid", "signerNotFound"]);
});

Deno.test("verifyPeerChain() refuses what an authority may not do", async () => {
  for (
    const wrong of [
      { root: { basicConstraints: { critical: true, ca: true, pathLength: 1 } } },
      { a: { basicConstraints: { critical: true, ca: true, pathLength: 0 } } },
      { a: { basicConstraints: { critical: true, ca: false } } },
      { b: { basicConstraints: undefined as never } },
      { b: { keyUsage: { critical: false, usages: ["digitalSignature"] } } },
      { a: { extensions: [{ oid: "1.2.3", critical: true, value: Uint8Array.of(5, 0) }] } },
      { leaf: { extensions: [{ oid: "1.2.3", critical: true, value: Uint8Array.of(5, 0) }] } },
    ] as const
  ) {
    const { root, a, b, leaf } = await chain(wrong);
    for (const flags of flagsOf([leaf, b, a], [root])) {
      assertEquals(flags, ["invalid"], JSON.stringify(wrong));
    }
  }
});

Deno.test("verifyPeerChain() takes path lengths that are just enough", async () => {
  const { root, a, b, leaf } = await chain({
    root: { basicConstraints: { critical: true, ca: true, pathLength: 2 } },
    a: { basicConstraints: { critical: true, ca: true, pathLength: 1 } },
    b: { basicConstraints: { critical: true, ca: true, pathLength: 0 } },
  });
  assertFlags([leaf, b, a], [root], []);
});

Deno.test("verifyPeerChain() looks at the dates of every certificate", async () => {
  for (const who of ["root", "a", "b", "leaf"] as const) {
    for (const [hours, flag] of [[[-2, -1], "expired"], [[1, 2], "notActivated"]] as const) {
      const { root, a, b, leaf } = await chain({ [who]: { hours } });
      assertFlags([leaf, b, a], [root], ["invalid", flag]);
    }
  }
});

Deno.test("verifyPeerChain() refuses a signature of another key, and one that is changed", async () => {
  const { root, a, b, leaf } = await chain();
  const other = await chain({ b: { keyNumber: 4 } });
  assertFlags([other.leaf, b, a], [root], ["invalid"]);
  const bytes = leaf.raw.slice();
  bytes[bytes.length - 1]! ^= 1;
  assertFlags([parseCertificate(bytes), b, a], [root], ["invalid"]);
});

Deno.test("verifyPeerChain() holds names against the constraints of every authority", async () => {
  const constraint = (tag: number, name: string) => ({
    oid: "2.5.29.30",
    critical: true,
    value: derSequence(der(tag, derSequence(der(0x82, new TextEncoder().encode(name))))),
  });
  const rows: readonly (readonly [number, string, string, boolean])[] = [
    [0xa0, "example.org", "vm1.example.org", true],
    [0xa0, "example.org", "example.org", true],
    [0xa0, "example.org", "notexample.org", false],
    [0xa1, "example.org", "vm1.example.org", false],
    [0xa1, "example.org", "vm1.example.com", true],
    [0xa0, "", "anything", true],
    [0xa1, "", "anything", false],
  ];
  for (const [tag, constrained, name, accepted] of rows) {
    for (const who of ["root", "a"] as const) {
      const { root, a, b, leaf } = await chain({
        [who]: { extensions: [constraint(tag, constrained)] },
        leaf: { dns: [name] },
      });
      assertFlags([leaf, b, a], [root], accepted ? [] : ["invalid"]);
    }
  }
});

Deno.test("verifyPeerChain() holds the newest list of each issuer against the whole chain", async () => {
  const { root, a, b, leaf, made } = await chain({ leaf: { serial: "44" }, b: { serial: "33" } });
  const list = async (
    issuer: keyof typeof made,
    serials: string[],
    hours: [number, number] = [-1, 1],
  ) => parseCrl(decodePem(await makeCrl(made[issuer], serials, { hours }))[0]!.der);
  const revoked = async (...crls: Parameters<typeof verifyPeerChain>[2]) => {
    const { flags } = verifyPeerChain([leaf, b, a], [root], crls, contexts[0]!);
    return await Promise.resolve(flags.has("revoked"));
  };
  assertEquals(await revoked(await list("b", ["44"])), true);
  assertEquals(await revoked(await list("a", ["33"])), true);
  assertEquals(await revoked(await list("b", ["45"]), await list("root", ["44"])), false);
  assertEquals(await revoked(await list("b", ["44"], [-1, 1]), await list("b", [], [0, 1])), false);
  assertEquals(await revoked(await list("b", ["44"], [-48, -24])), true);
});

Deno.test("verifyChain() ends on authorities that certify each other", async () => {
  const first = await makeCertificate({ subject: "CN=x", keyNumber: 1, ...CA });
  const second = await makeCertificate({ subject: "CN=y", keyNumber: 2, issuer: first, ...CA });
  const third = await makeCertificate({ subject: "CN=x", keyNumber: 1, issuer: second, ...CA });
  const [y, x] = [second, third].map(({ der }) => parseCertificate(der)) as [
    Certificate,
    Certificate,
  ];
  assert(isIssuedBy(x, y) && isIssuedBy(y, x));
  for (const context of contexts) {
    const many = Array.from({ length: 16 }, (_, i) => i % 2 === 0 ? y : x);
    assert(verifyPeerChain(many, [], [], context).flags.has("signerNotFound"));
    assert(verifyChain(many, [], context).flags.has("signerNotFound"));
  }
});

Deno.test("verifyPeerChain() and GnuTLS agree on what servers made by chance send", async () => {
  const gnutls = engines.find(({ name }) => name === "gnutls");
  if (gnutls === undefined) return;
  const count = soakCount(2_000, 60);
  let refused = 0;
  for (let seed = 0; seed < count; seed++) {
    const chance = new Chance(seed);
    // GnuTLS keeps anchors in 127 slots by their names and takes those of one slot for each other's
    // namesakes; these names have slots of their own.
    const root = await makeCertificate(randomAuthority(chance, "CN=root", 1));
    const a = await makeCertificate({ ...randomAuthority(chance, "CN=one", 2), issuer: root });
    const b = await makeCertificate({ ...randomAuthority(chance, "CN=two", 3), issuer: a });
    const leaf = await makeCertificate({
      subject: "CN=leaf",
      issuer: chance.pick([root, a, b]),
      identifiers: chance.happens(0.5),
      dns: ["vm1.example"],
      ...(chance.happens(0.05) ? { hours: [-2, -1] as const } : {}),
    });
    const some = chance.shuffled([a, b]).slice(chance.below(2));
    const sent = [leaf, ...chance.pick([[b, a], [a], [], [a, b], some, [b, a, root]])];
    const anchors = chance.shuffled([root, ...(chance.happens(0.2) ? [chance.pick([a, b])] : [])]);
    using server = gnutls.credentials({
      kind: "x509",
      endpoint: "server",
      trust: new Uint8Array(),
      identities: [{ certificate: text(sent.map(({ pem }) => pem)), key: text([leaf.keyPem]) }],
    });
    using client = gnutls.credentials({
      kind: "x509",
      endpoint: "client",
      trust: text(anchors.map(({ pem }) => pem)),
      identities: [],
    });
    const [x, y] = pair();
    const [one, two] = await Promise.all([
      gnutls.open(x, { credentials: server }),
      gnutls.open(y, { credentials: client }),
    ]);
    const { error: _error, ...theirs } = two.verifyPeer()!;
    const context = { now: new Date(), isSignedBy: signatureCheck(gnutls) };
    const chainSent = two.facts.peerChain.map(parseCertificate);
    const { flags } = verifyPeerChain(
      chainSent,
      anchors.map(({ der }) => parseCertificate(der)),
      [],
      context,
    );
    const ours = Object.fromEntries(
      Object.keys(theirs).map((flag) => [flag, flags.has(flag as ChainFlag)]),
    );
    assertEquals(ours, theirs, `seed ${seed}`);
    if (theirs.invalid) refused++;
    one.close();
    two.close();
  }
  soakRow("peers' chains against GnuTLS", count, `${refused} refused, no difference`);
});

const text = (parts: readonly string[]): Uint8Array => new TextEncoder().encode(parts.join(""));
