/** The cases of QEMU's own test of loading credentials, and more that were measured beside them. */

import type { Endpoint } from "../../engine/mod.ts";
import {
  type CertificateSpec,
  makeCertificate,
  PURPOSE,
  type TestCertificate,
} from "./certificates.ts";
import type { CredentialFiles } from "./certificates.ts";
import { flipScalar } from "./hurt_key.ts";

/** A directory and what QEMU says of it; `%D` stands for its path. */
export interface CredentialCase {
  readonly name: string;
  readonly endpoint: Endpoint;
  files(): Promise<CredentialFiles>;
  /** QEMU 7.2.22's message; empty where it accepts. */
  readonly message: string;
  /** QEMU 10.2's message, where it differs. */
  readonly newMessage?: string;
  /** The message of lines that want keyEncipherment, where it differs. */
  readonly enciphermentMessage?: string;
}

type Spec = Omit<CertificateSpec, "subject" | "issuer">;

const CA_CONSTRAINTS = { basicConstraints: { critical: true, ca: true } } as const;
const NOT_CA = { basicConstraints: { critical: true, ca: false } } as const;
const A: Spec = { ...CA_CONSTRAINTS, keyUsage: { critical: true, usages: ["keyCertSign"] } };
const DS = { keyUsage: { critical: true, usages: ["digitalSignature"] } } as const;
const SERVER = { purposes: { critical: true, oids: [PURPOSE.server] } } as const;
const CLIENT = { purposes: { critical: true, oids: [PURPOSE.client] } } as const;
const BOTH = [PURPOSE.client, PURPOSE.server];
const GOOD_SERVER: Spec = { ...DS, ...SERVER };
const GOOD_CLIENT: Spec = { ...DS, ...CLIENT };

const CERT = (endpoint: Endpoint) => `%D/${endpoint}-cert.pem`;
const SIGNATURE = (e: Endpoint) => `Certificate ${CERT(e)} usage does not permit digital signature`;
const ENCIPHERMENT = (e: Endpoint) =>
  `Certificate ${CERT(e)} usage does not permit key encipherment`;
const PURPOSE_OF = (e: Endpoint) =>
  `Certificate ${CERT(e)} purpose does not allow use with a TLS ${e}`;
const CHAIN = (e: Endpoint, reason: string) =>
  `Our own certificate ${CERT(e)} failed validation against %D/ca-cert.pem: ${reason}`;
const NO_ISSUER = "The certificate hasn't got a known issuer";
const NOT_TRUSTED = "The certificate is not trusted";
const EXPIRED = (what: string, file: string) => `The ${what} certificate %D/${file} has expired`;
const INACTIVE = (what: string, file: string) =>
  `The ${what} certificate %D/${file} is not yet active`;

/** One authority, one leaf. */
function pair(
  name: string,
  endpoint: Endpoint,
  authority: Spec,
  leaf: Spec,
  message = "",
  more: Partial<CredentialCase> & { readonly subject?: string } = {},
): CredentialCase {
  const { subject = endpoint === "server" ? "C=UK, CN=qemu.org" : "C=UK, CN=qemu", ...rest } = more;
  const wantsEncipherment = leaf.keyUsage?.critical && message === "" &&
    !leaf.keyUsage.usages.includes("keyEncipherment");
  return {
    name,
    endpoint,
    message,
    ...(wantsEncipherment ? { enciphermentMessage: ENCIPHERMENT(endpoint) } : {}),
    ...rest,
    async files() {
      const ca = await makeCertificate({ subject: "C=UK, CN=qemu CA", keyNumber: 1, ...authority });
      const own = await makeCertificate({ subject, issuer: ca, ...NOT_CA, ...leaf });
      return { ca: ca.pem, cert: own.pem, key: own.keyPem };
    },
  };
}

/** The chain of QEMU's tests. */
async function chain() {
  const authority = (subject: string, issuer?: TestCertificate, more: Spec = {}) =>
    makeCertificate({ subject, ...(issuer ? { issuer } : {}), ...A, ...more });
  const root = await authority("C=UK, CN=qemu root");
  const level1a = await authority("C=UK, CN=qemu level 1a", root);
  const level1b = await authority("C=UK, CN=qemu level 1b", root);
  const level1c = await authority("C=UK, CN=qemu level 1c invalid", root, { hours: [360, 400] });
  const level2a = await authority("C=UK, CN=qemu level 2a", level1a);
  const other = await authority("C=UK, CN=some other random CA");
  const leaf3a = await makeCertificate({
    subject: "C=UK, CN=qemu.org",
    issuer: level2a,
    ...NOT_CA,
    ...GOOD_SERVER,
  });
  const leaf2b = await makeCertificate({
    subject: "C=UK, CN=qemu client level 2b",
    issuer: level1b,
    ...NOT_CA,
    ...GOOD_CLIENT,
  });
  return { root, level1a, level1b, level1c, level2a, other, leaf3a, leaf2b };
}

type Chain = Awaited<ReturnType<typeof chain>>;

function chained(
  name: string,
  endpoint: Endpoint,
  authorities: readonly (keyof Chain)[],
  own: readonly (keyof Chain)[],
  message: string,
  newMessage = message,
): CredentialCase {
  return {
    name,
    endpoint,
    message,
    newMessage,
    enciphermentMessage: ENCIPHERMENT(endpoint),
    async files() {
      const all = await chain();
      const text = (names: readonly (keyof Chain)[]) => names.map((n) => all[n].pem).join("");
      return { ca: text(authorities), cert: text(own), key: all[own[0]!].keyPem };
    },
  };
}

/** The cases of QEMU's own load test (test-crypto-tlscredsx509), row by row. */
export const QEMU_CASES: readonly CredentialCase[] = [
  pair("perfectserver", "server", A, GOOD_SERVER),
  pair("perfectclient", "client", A, GOOD_CLIENT),
  pair("goodca1", "server", CA_CONSTRAINTS, GOOD_SERVER),
  pair("goodca2", "server", { basicConstraints: { critical: false, ca: true } }, GOOD_SERVER),
  pair("goodca3", "server", A, GOOD_SERVER),
  pair(
    "badca1",
    "server",
    { ...CA_CONSTRAINTS, keyUsage: { critical: false, usages: ["digitalSignature"] } },
    GOOD_SERVER,
    CHAIN("server", NOT_TRUSTED),
    { enciphermentMessage: ENCIPHERMENT("server") },
  ),
  pair(
    "badca2",
    "server",
    {},
    GOOD_SERVER,
    "The certificate %D/ca-cert.pem is missing basic constraints for a CA",
    { enciphermentMessage: ENCIPHERMENT("server") },
  ),
  pair(
    "badca3",
    "server",
    { ...CA_CONSTRAINTS, keyUsage: { critical: true, usages: ["digitalSignature"] } },
    GOOD_SERVER,
    "Certificate %D/ca-cert.pem usage does not permit certificate signing",
    { enciphermentMessage: ENCIPHERMENT("server") },
  ),
  ...(["server", "client"] as const).flatMap((e) => {
    const [own, other] = e === "server" ? [SERVER, CLIENT] : [CLIENT, SERVER];
    const usage = (
      critical: boolean,
      ...usages: readonly ("digitalSignature" | "keyCertSign")[]
    ) => ({
      keyUsage: { critical, usages },
    });
    return [
      pair(`good${e}1`, e, A, {}),
      pair(`good${e}2`, e, A, usage(true, "digitalSignature", "keyCertSign")),
      pair(`good${e}3`, e, A, usage(false, "keyCertSign")),
      pair(`good${e}4`, e, A, own),
      pair(`good${e}5`, e, A, { purposes: { ...own.purposes, critical: false } }),
      pair(`good${e}6`, e, A, { purposes: { critical: true, oids: BOTH } }),
      pair(`good${e}7`, e, A, { purposes: { critical: false, oids: BOTH } }),
      pair(`bad${e}1`, e, A, usage(true, "keyCertSign"), SIGNATURE(e)),
      pair(`bad${e}2`, e, A, other, PURPOSE_OF(e)),
      pair(`bad${e}3`, e, A, usage(true), SIGNATURE(e)),
    ];
  }),
  pair("expired1", "server", { ...A, hours: [-2, -1] }, GOOD_SERVER, EXPIRED("CA", "ca-cert.pem"), {
    enciphermentMessage: ENCIPHERMENT("server"),
  }),
  pair(
    "expired2",
    "server",
    A,
    { ...GOOD_SERVER, hours: [-2, -1] },
    EXPIRED("server", "server-cert.pem"),
  ),
  pair(
    "expired3",
    "client",
    A,
    { ...GOOD_CLIENT, hours: [-2, -1] },
    EXPIRED("client", "client-cert.pem"),
  ),
  pair("inactive1", "server", { ...A, hours: [1, 2] }, GOOD_SERVER, INACTIVE("CA", "ca-cert.pem"), {
    enciphermentMessage: ENCIPHERMENT("server"),
  }),
  pair(
    "inactive2",
    "server",
    A,
    { ...GOOD_SERVER, hours: [1, 2] },
    INACTIVE("server", "server-cert.pem"),
  ),
  pair(
    "inactive3",
    "client",
    A,
    { ...GOOD_CLIENT, hours: [1, 2] },
    INACTIVE("client", "client-cert.pem"),
  ),
  chained("chain1", "server", ["root", "level1a", "level1b", "level2a"], ["leaf3a"], ""),
  chained("chain2", "client", ["root", "level1a", "level1b", "level2a"], ["leaf2b"], ""),
  chained(
    "certchainwithexpiredcert",
    "client",
    ["root", "level1a", "level1b", "level1c", "level2a"],
    ["leaf2b"],
    INACTIVE("CA", "ca-cert.pem"),
    "",
  ),
  chained(
    "chainincomplete",
    "server",
    ["root", "level2a"],
    ["leaf3a"],
    "",
    "Cert 'C=UK,CN=qemu level 2a' has no issuer in CA chain",
  ),
  ...([
    ["serverchain", ["root"], ["leaf3a", "level2a", "level1a"], ""],
    ["multiplecaswithchain", ["other", "root"], ["leaf3a", "level2a", "level1a"], ""],
    [
      "incompleteserverchain",
      ["root"],
      ["leaf3a", "level2a"],
      "Cert 'C=UK,CN=qemu level 2a' has no issuer in CA chain",
    ],
    [
      "unsortedserverchain",
      ["root"],
      ["leaf3a", "level1a", "level2a"],
      "Cert 'C=UK,CN=qemu level 1a' does not match issuer of cert 'C=UK,CN=qemu.org'",
    ],
  ] as const).map(([name, ca, own, message]) =>
    chained(name, "server", ca, own, CHAIN("server", NO_ISSUER), message)
  ),
  chained("clientchain", "client", ["root"], ["leaf2b", "level1b"], CHAIN("client", NO_ISSUER), ""),
  without("missingca", "server", ["ca"], MISSING_FILE("ca-cert.pem")),
  without("missingserver", "server", ["cert"], MISSING_FILE("server-cert.pem"), {
    newMessage: "Key '%D/server-key.pem' without corresponding cert '%D/server-cert.pem'",
  }),
  without("missingserver, key too", "server", ["cert", "key"], MISSING_FILE("server-cert.pem"), {
    newMessage: "Missing server cert '%D/server-cert.pem' & key '%D/server-key.pem'",
  }),
  without("missingclient", "client", ["cert", "key"], ""),
];

function MISSING_FILE(name: string): string {
  return `Unable to access credentials %D/${name}: No such file or directory`;
}

/** A good pair without some of its files. */
function without(
  name: string,
  endpoint: Endpoint,
  absent: readonly (keyof CredentialFiles)[],
  message: string,
  more: Partial<CredentialCase> = {},
): CredentialCase {
  const good = pair(name, endpoint, A, endpoint === "server" ? SERVER : CLIENT, message, more);
  return {
    ...good,
    async files() {
      const files = await good.files();
      return Object.fromEntries(
        Object.entries(files).filter(([part]) => !absent.includes(part as keyof CredentialFiles)),
      );
    },
  };
}

/** A good pair with files that are changed. */
function changed(
  name: string,
  endpoint: Endpoint,
  change: (files: CredentialFiles) => CredentialFiles | Promise<CredentialFiles>,
  message: string,
  more: Partial<CredentialCase> = {},
): CredentialCase {
  const good = pair(name, endpoint, A, endpoint === "server" ? SERVER : CLIENT, message, more);
  return { ...good, files: async () => await change(await good.files()) };
}

const KEY_FAILS = (reason: string) =>
  `Cannot load certificate '%D/server-cert.pem' & key '%D/server-key.pem': ${reason}`;
const IMPORT_FAILS = "Unable to import server certificate %D/server-cert.pem: ";

/** The further cases that were measured, and the errors of loading (section 1.3). */
export const MEASURED_CASES: readonly CredentialCase[] = [
  pair("key usage keyEncipherment, critical", "server", A, {
    keyUsage: { critical: true, usages: ["keyEncipherment"] },
  }, SIGNATURE("server")),
  pair("key usage keyEncipherment, not critical", "server", A, {
    keyUsage: { critical: false, usages: ["keyEncipherment"] },
  }),
  pair("purpose client of a server, not critical", "server", A, {
    purposes: { critical: false, oids: [PURPOSE.client] },
  }),
  pair("purpose any, critical", "server", A, { purposes: { critical: true, oids: [PURPOSE.any] } }),
  pair("purpose code signing, critical", "server", A, {
    purposes: { critical: true, oids: [PURPOSE.codeSigning] },
  }, PURPOSE_OF("server")),
  ...(["server", "client"] as const).map((e) =>
    pair(
      `a CA as ${e}`,
      e,
      A,
      CA_CONSTRAINTS,
      `The certificate ${CERT(e)} basic constraints show a CA, but we need one for a ${e}`,
    )
  ),
  pair("leaf without basic constraints", "server", A, { basicConstraints: undefined as never }),
  pair(
    "CA that says it is none",
    "server",
    { basicConstraints: { critical: true, ca: false } },
    {},
    "The certificate %D/ca-cert.pem basic constraints do not show a CA",
  ),
  pair("EC leaf with digitalSignature alone", "server", A, { ...DS, keyType: "ec" }),
  changed(
    "leaf of another CA",
    "server",
    async (files) => {
      const other = await makeCertificate({ subject: "CN=other CA", ...A });
      return { ...files, ca: other.pem };
    },
    CHAIN("server", NO_ISSUER),
    {
      newMessage: "Cert 'C=UK,CN=qemu.org' has no issuer in CA chain",
    },
  ),
  changed("leaf of another CA of the same name", "server", async (files) => {
    const other = await makeCertificate({ subject: "C=UK, CN=qemu CA", keyNumber: 2, ...A });
    return { ...files, ca: other.pem };
  }, CHAIN("server", NOT_TRUSTED)),
  changed(
    "an expired CA beside the good one",
    "server",
    async (files) => {
      const old = await makeCertificate({ subject: "CN=old CA", ...A, hours: [-2, -1] });
      return { ...files, ca: files.ca + old.pem };
    },
    EXPIRED("CA", "ca-cert.pem"),
    { newMessage: "" },
  ),
  changed(
    "leaf with its CA behind it",
    "server",
    (files) => ({ ...files, cert: files.cert! + files.ca }),
    "",
  ),
  changed(
    "leaf with its CA before it",
    "server",
    (files) => ({ ...files, cert: files.ca! + files.cert }),
    `The certificate ${CERT("server")} basic constraints show a CA, but we need one for a server`,
    {
      newMessage:
        "Cannot set certificate '%D/server-cert.pem' & key '%D/server-key.pem': The certificate and the given key do not match.",
    },
  ),
  changed(
    "17 CAs, the issuer last",
    "server",
    async (files) => {
      return { ...files, ca: await manyAuthorities(16) + files.ca };
    },
    CHAIN("server", NO_ISSUER),
    { newMessage: "" },
  ),
  changed("17 CAs, the issuer first", "server", async (files) => {
    return { ...files, ca: files.ca + await manyAuthorities(16) };
  }, ""),
  changed(
    "no PEM for the leaf",
    "server",
    (files) => ({ ...files, cert: "junk\n" }),
    `${IMPORT_FAILS}Base64 unexpected header error.`,
    {
      newMessage: "Unable to import certificate %D/server-cert.pem: No certificate was found.",
    },
  ),
  changed(
    "empty leaf",
    "server",
    (files) => ({ ...files, cert: "" }),
    `${IMPORT_FAILS}Base64 unexpected header error.`,
    {
      newMessage: "Unable to import certificate %D/server-cert.pem: No certificate was found.",
    },
  ),
  changed(
    "leaf that breaks off",
    "server",
    (files) => ({ ...files, cert: files.cert!.slice(0, 200) }),
    `${IMPORT_FAILS}Base64 unexpected header error.`,
    {
      newMessage:
        "Unable to import certificate %D/server-cert.pem: Base64 unexpected header error.",
    },
  ),
  changed(
    "no PEM for the CA",
    "server",
    (files) => ({ ...files, ca: "junk\n" }),
    "Unable to import CA certificate list %D/ca-cert.pem",
    {
      newMessage: "Unable to import certificate %D/ca-cert.pem: No certificate was found.",
    },
  ),
  changed(
    "no PEM for the key",
    "server",
    (files) => ({ ...files, key: "junk\n" }),
    KEY_FAILS("The requested data were not available."),
    {
      newMessage: "Unable to import private key %D/server-key.pem",
    },
  ),
  changed(
    "key that breaks off",
    "server",
    (files) => ({ ...files, key: files.key!.slice(0, 100) }),
    KEY_FAILS("Base64 decoding error."),
    {
      newMessage: "Unable to import private key %D/server-key.pem",
    },
  ),
  changed(
    "certificate in the key's place",
    "server",
    (files) => ({ ...files, key: files.cert! }),
    KEY_FAILS("The requested data were not available."),
    {
      newMessage: "Unable to import private key %D/server-key.pem",
    },
  ),
  changed(
    "key of another certificate",
    "server",
    async (files) => {
      const other = await makeCertificate({ subject: "CN=other", keyNumber: 1 });
      return { ...files, key: other.keyPem };
    },
    KEY_FAILS("The certificate and the given key do not match."),
    {
      newMessage:
        "Cannot set certificate '%D/server-cert.pem' & key '%D/server-key.pem': The certificate and the given key do not match.",
    },
  ),
  changed(
    "key with one bit of its scalar flipped",
    "server",
    (files) => ({ ...files, key: flipScalar(files.key!, 9, 3) }),
    KEY_FAILS("The certificate and the given key do not match."),
    {
      newMessage:
        "Cannot set certificate '%D/server-cert.pem' & key '%D/server-key.pem': The certificate and the given key do not match.",
    },
  ),
  changed(
    "key of another kind",
    "server",
    async (files) => {
      const other = await makeCertificate({ subject: "CN=other", keyType: "rsa" });
      return { ...files, key: other.keyPem };
    },
    KEY_FAILS("The certificate and the given key do not match."),
    {
      newMessage:
        "Cannot set certificate '%D/server-cert.pem' & key '%D/server-key.pem': The certificate and the given key do not match.",
    },
  ),
  changed(
    "no PEM for the CRL",
    "server",
    (files) => ({ ...files, crl: "junk\n" }),
    "Cannot load CRL '%D/ca-crl.pem': Base64 decoding error.",
  ),
  changed("no PEM for a client's CRL", "client", (files) => ({ ...files, crl: "junk\n" }), ""),
  without("client's certificate without key", "client", ["key"], "", {
    newMessage: "Cert '%D/client-cert.pem' without corresponding key '%D/client-key.pem'",
  }),
  without("client's key without certificate", "client", ["cert"], "", {
    newMessage: "Key '%D/client-key.pem' without corresponding cert '%D/client-cert.pem'",
  }),
  without("server's certificate without key", "server", ["key"], MISSING_FILE("server-key.pem"), {
    newMessage: "Cert '%D/server-cert.pem' without corresponding key '%D/server-key.pem'",
  }),
];

async function manyAuthorities(count: number): Promise<string> {
  const names = Array.from({ length: count }, (_, i) => `CN=CA number ${i}`);
  const made = await Promise.all(names.map((subject) => makeCertificate({ subject, ...A })));
  return made.map(({ pem }) => pem).join("");
}
