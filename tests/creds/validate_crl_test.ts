import { assert, assertEquals } from "@std/assert";
import { der, derSequence } from "../../base/mod.ts";
import { type PathOptions, validatePath } from "../../creds/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  type TestCertificate,
} from "../support/certificates.ts";
import { extension, type ListSpec, makeList, nameOf } from "../support/crls.ts";
import { enginesHere } from "../support/engines.ts";
import { CA } from "./paths.ts";

const engines = await enginesHere();

const root = await makeCertificate({ subject: "CN=root", keyNumber: 1, serial: "01", ...CA });
const a = await makeCertificate({
  subject: "CN=a",
  keyNumber: 2,
  issuer: root,
  serial: "0a",
  ...CA,
});
const other = await makeCertificate({
  subject: "CN=other",
  keyNumber: 3,
  issuer: root,
  serial: "0b",
  ...CA,
});
const HOST: CertificateSpec = {
  subject: "CN=host",
  issuer: a,
  identifiers: true,
  serial: "44",
  dns: ["vm1.example"],
};
const leaf = await makeCertificate(HOST);

function outcome(
  crls: readonly Uint8Array[],
  options: Partial<PathOptions> & { readonly leaf?: TestCertificate } = {},
  more: readonly TestCertificate[] = [],
): string {
  const found = engines.map((engine) => {
    const result = validatePath((options.leaf ?? leaf).der, {
      engine,
      trusted: [root.der],
      intermediates: [a.der, other.der, ...more.map((c) => c.der)],
      crls,
      ...options,
    });
    return result.ok ? "fine" : result.code;
  });
  for (const one of found) assertEquals(one, found[0]);
  return found[0]!;
}

const point = (name: string) => der(0x86, new TextEncoder().encode(name));
const fullName = (...names: Uint8Array[]) => der(0xa0, der(0xa0, ...names));
const USERS = der(0x81, Uint8Array.of(255));
const AUTHORITIES = der(0x82, Uint8Array.of(255));
const ATTRIBUTES = der(0x85, Uint8Array.of(255));
const INDIRECT = der(0x84, Uint8Array.of(255));
/** keyCompromise, cACompromise alone. */
const SOME_REASONS = der(0x83, Uint8Array.of(5, 0b0110_0000));
const OTHER_REASONS = der(0x83, Uint8Array.of(7, 0b0001_1111, 0x80));
const unknown = (critical: boolean) => extension("1.2.3.4", critical, Uint8Array.of(5, 0));
const revoked = [{ serial: "44" }];

/** A list of a's, and what it makes of the host: where a list is wanted, and where one may be. */
const LISTS: readonly (readonly [ListSpec, available: string, required: string])[] = [
  [{}, "fine", "fine"],
  [{ entries: revoked }, "revoked", "revoked"],
  [{ entries: [{ serial: "45" }] }, "fine", "fine"],
  [{ entries: [{ serial: "44", reason: 1 }] }, "revoked", "revoked"],
  [{ entries: [{ serial: "44", reason: 6 }] }, "revoked", "revoked"],
  [{ entries: [{ serial: "44", reason: 8 }] }, "fine", "fine"],
  [{ entries: [{ serial: "44", reason: 7 }] }, "revocation-unknown", "revocation-unknown"],
  [{ hours: [-3, -2] }, "revocation-unknown", "revocation-unknown"],
  [{ hours: [1, 2] }, "revocation-unknown", "revocation-unknown"],
  [{ hours: [-1, null] }, "revocation-unknown", "revocation-unknown"],
  [{ number: null }, "revocation-unknown", "revocation-unknown"],
  [{ signer: other }, "revocation-unknown", "revocation-unknown"],
  [{ extensions: [unknown(true)] }, "revocation-unknown", "revocation-unknown"],
  [{ extensions: [unknown(false)] }, "fine", "fine"],
  [
    { entries: [{ serial: "99", extensions: [unknown(true)] }] },
    "revocation-unknown",
    "revocation-unknown",
  ],
  [{ entries: [{ serial: "44", extensions: [unknown(false)] }] }, "revoked", "revoked"],
  [{ scope: [USERS] }, "fine", "fine"],
  [{ scope: [USERS], entries: revoked }, "revoked", "revoked"],
  [{ scope: [AUTHORITIES], entries: revoked }, "fine", "revocation-unknown"],
  [{ scope: [ATTRIBUTES], entries: revoked }, "fine", "revocation-unknown"],
  [{ scope: [SOME_REASONS] }, "fine", "revocation-unknown"],
  [{ scope: [SOME_REASONS], entries: revoked }, "revoked", "revoked"],
  [{ scope: [fullName(point("http://a/crl"))], entries: revoked }, "fine", "revocation-unknown"],
  [{ base: 1, number: 2 }, "fine", "revocation-unknown"],
];

Deno.test("validatePath() holds certificates against the lists of their issuers", async () => {
  const roots = await makeList(root);
  for (const [i, [spec, available, required]] of LISTS.entries()) {
    const list = await makeList(a, spec);
    assertEquals(outcome([list]), available, `row ${i}`);
    assertEquals(outcome([roots, list], { revocation: "required" }), required, `row ${i}`);
  }
  assertEquals(outcome([]), "fine");
  assertEquals(outcome([], { revocation: "required" }), "revocation-unknown");
  assertEquals(outcome([Uint8Array.of(48, 0)], { revocation: "required" }), "revocation-unknown");
  assertEquals(outcome([await makeList(root, { entries: [{ serial: "0a" }] })]), "revoked");
  assertEquals(outcome([await makeList(other, { entries: revoked })]), "fine");
});

Deno.test("validatePath() joins lists that cover different reasons", async () => {
  const roots = await makeList(root);
  const some = await makeList(a, { scope: [SOME_REASONS] });
  const rest = await makeList(a, { scope: [OTHER_REASONS] });
  assertEquals(outcome([roots, some, rest], { revocation: "required" }), "fine");
  const bad = await makeList(a, { scope: [OTHER_REASONS], entries: revoked });
  assertEquals(outcome([roots, some, bad], { revocation: "required" }), "revoked");
});

Deno.test("validatePath() adds deltas to the list that they belong to", async () => {
  const held = [{ serial: "44", reason: 6 }];
  const deltas = (spec: ListSpec, whole: ListSpec = { number: 5 }) =>
    Promise.all([makeList(a, whole), makeList(a, { base: 5, number: 6, ...spec })]);
  assertEquals(outcome(await deltas({})), "fine");
  assertEquals(outcome(await deltas({ entries: revoked })), "revoked");
  assertEquals(outcome(await deltas({ entries: revoked, base: 6, number: 7 })), "fine");
  assertEquals(outcome(await deltas({ entries: revoked, signer: other })), "fine");
  assertEquals(outcome(await deltas({ entries: revoked, hours: [-3, -2] })), "fine");
  assertEquals(outcome(await deltas({ entries: revoked, scope: [USERS] })), "fine");
  const back = { entries: [{ serial: "44", reason: 8 }] };
  assertEquals(outcome(await deltas(back, { number: 5, entries: held })), "fine");
  assertEquals(outcome(await deltas({}, { number: 5, entries: held })), "revoked");
});

Deno.test("validatePath() follows distribution points, and lists of somebody else's", async () => {
  const points = (...fields: Uint8Array[]) => ({
    extensions: [{ oid: "2.5.29.31", critical: false, value: derSequence(derSequence(...fields)) }],
  });
  const named = await makeCertificate({ ...HOST, ...points(fullName(point("http://a/1"))) });
  const at = (where: string, spec: ListSpec = {}) =>
    makeList(a, { scope: [fullName(point(where))], ...spec });
  assertEquals(outcome([await at("http://a/1", { entries: revoked })], { leaf: named }), "revoked");
  assertEquals(outcome([await at("http://a/2", { entries: revoked })], { leaf: named }), "fine");

  const signer = der(0xa2, der(0xa4, nameOf(other)));
  const indirect = await makeCertificate({
    ...HOST,
    ...points(fullName(der(0xa4, nameOf(other))), signer),
  });
  const scope = [fullName(der(0xa4, nameOf(other))), INDIRECT];
  const says = async (spec: ListSpec) =>
    outcome([await makeList(other, { scope, ...spec })], { leaf: indirect });
  assertEquals(await says({ entries: [{ serial: "44", issuer: a }] }), "revoked");
  assertEquals(await says({ entries: [{ serial: "44", issuer: root }] }), "fine");
  assertEquals(await says({ entries: revoked }), "fine");
  assertEquals(
    await says({ entries: [{ serial: "01", issuer: a }, { serial: "44" }] }),
    "revoked",
    "an entry without an issuer has that of the entry before it",
  );
  assertEquals(
    await says({ scope: [INDIRECT], entries: [{ serial: "44", issuer: a }] }),
    "revoked",
  );
  assertEquals(await says({ scope: [], entries: [{ serial: "44", issuer: a }] }), "fine");
});

Deno.test("validatePath() takes a list from another key of the issuer, if that is certified", async () => {
  const SIGNER: Partial<CertificateSpec> = {
    keyUsage: { critical: true, usages: ["cRLSign"] },
    basicConstraints: { critical: true, ca: true },
    identifiers: true,
  };
  const signer = (issuer: TestCertificate, more: Partial<CertificateSpec> = {}) =>
    makeCertificate({ subject: "CN=a", keyNumber: 7, issuer, serial: "0c", ...SIGNER, ...more });
  const good = await signer(root);
  const list = await makeList(good, { entries: revoked });
  assertEquals(outcome([list], {}, [good]), "revoked");
  assertEquals(outcome([list], {}, []), "revocation-unknown");
  const strange = await makeCertificate({ subject: "CN=root", keyNumber: 8, ...CA });
  assertEquals(outcome([list], {}, [await signer(strange)]), "revocation-unknown");
  const late = await signer(root, { hours: [-2, -1] });
  assertEquals(outcome([list], {}, [late]), "revocation-unknown");
  const mute = await signer(root, { keyUsage: { critical: true, usages: ["keyCertSign"] } });
  assertEquals(outcome([list], {}, [mute]), "revocation-unknown");
  const revoking = await makeList(root, { entries: [{ serial: "0c" }] });
  assertEquals(outcome([list, revoking], {}, [good]), "revocation-unknown");
  assert(outcome([await makeList(good), revoking], {}, [good]) === "revocation-unknown");
});
