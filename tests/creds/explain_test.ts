import { assert, assertEquals } from "@std/assert";
import { checkCredentials, explain, LIBVIRT_PROFILES, PAGES, PROFILES } from "../../creds/mod.ts";
import { writeCredentials } from "../support/certificates.ts";
import { MEASURED_CASES, QEMU_CASES } from "../support/credential_cases.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const [engine] = await enginesHere();

Deno.test("explain() has a page for each code of a finding or error, and one page for each code", () => {
  const codes = PAGES.map(({ code }) => code);
  assertEquals(new Set(codes).size, codes.length);
  const folder = new URL("../../creds/", import.meta.url);
  const used = new Set<string>();
  for (const { name } of Deno.readDirSync(folder)) {
    if (name.startsWith("_page") || name === "error.ts") continue;
    const source = Deno.readTextFileSync(new URL(name, folder));
    for (const [, code] of source.matchAll(/"([A-Z]+(?:_[A-Z]+)+)"/g)) used.add(code!);
  }
  // LOAD only carries a finding's text.
  const errors = Deno.readTextFileSync(new URL("error.ts", folder)).matchAll(
    /^ {2}([A-Z_]+): \(/gm,
  );
  for (const [, code] of errors) if (code !== "LOAD") used.add(code!);
  assert(used.size > 60, `${used.size} codes were found`);
  assertEquals([...used].filter((code) => explain(code)?.code !== code), []);
  for (const { code, cause, confirm, mend } of PAGES) {
    assert([cause, confirm, mend].every((text) => text.length > 5 && !text.endsWith(".")), code);
  }
});

Deno.test("explain() finds the page of whatever is said when credentials are loaded", async () => {
  for (const one of [...QEMU_CASES, ...MEASURED_CASES]) {
    using dir = temporaryDirectory();
    writeCredentials(dir.path, one.endpoint, await one.files());
    const profiles = [...PROFILES, ...LIBVIRT_PROFILES];
    const options = { engine: engine!, endpoint: one.endpoint, profiles };
    for (const { qemu, message, findings } of await checkCredentials(dir.path, options)) {
      if (message === "") continue;
      const { code } = findings[0]!;
      // Of a pair that cannot be read nobody says which of the two files it is.
      const isEither = code === "CERT_DAMAGED" && message.includes("-key.pem");
      const wanted = isEither ? "KEY_DAMAGED" : code;
      assertEquals(explain(message)?.code, wanted, `${one.name}, ${qemu}: ${message}`);
    }
  }
});

/** Texts of the fact sheets, each with its page. */
const TEXTS: readonly (readonly [text: string, code: string])[] = [
  ["Certificate does not match the hostname other.org", "PEER_HOSTNAME"],
  ["Certificate [session] owner does not match the hostname 2620:52::1", "PEER_HOSTNAME"],
  ["qemu-nbd: No hostname for certificate validation", "NO_HOSTNAME"],
  ["TLS x509 authz check for C=UK,CN=qemu is denied", "PEER_DENIED"],
  ["Client's Distinguished Name is not on the list of allowed clients", "PEER_DENIED"],
  ["Cannot find QAuthZ object ID nope", "AUTHZ_NOT_FOUND"],
  ["Object 't' is not a QAuthZ subclass", "NOT_AUTHZ"],
  ["Verify failed: No certificate was found.", "PEER_VERIFY"],
  ["Unable to verify TLS peer: No certificate was found.", "PEER_VERIFY"],
  ["authentication failed: Failed to verify peer's certificate", "PEER_VERIFY"],
  ["No certificate peers", "PEER_NO_CERTIFICATE"],
  ["The certificate hasn't got a known issuer", "PEER_NO_ISSUER"],
  ["The certificate has been revoked", "PEER_REVOKED"],
  ["The certificate is not trusted", "PEER_NOT_TRUSTED"],
  ["The certificate has expired", "PEER_EXPIRED"],
  ["The certificate is not yet activated", "PEER_NOT_ACTIVE"],
  ["The certificate uses an insecure algorithm", "CHAIN_INSECURE"],
  ["TLS handshake failed: No supported cipher suites have been found.", "HANDSHAKE_SUITES"],
  ["TLS handshake failed: The TLS connection was non-properly terminated.", "PEER_CUT_OFF"],
  [
    "Failed to read option reply: Cannot read from TLS channel: Software caused connection abort",
    "PEER_CUT_OFF",
  ],
  ["Cannot write to TLS channel: Input/output error", "PEER_CUT_OFF"],
  ["Not a migration stream", "PEER_CUT_OFF"],
  ["Cannot set default TLS session priority FOO: The request is invalid.", "PRIORITY"],
  ["Unable to set TLS session priority FOO: The request is invalid.", "PRIORITY"],
  ["No TLS credentials with id 'x'", "NO_TLS_CREDS"],
  ["Object with id 's' is not TLS credentials", "NOT_TLS_CREDS"],
  ["Expected TLS credentials for a server endpoint", "WRONG_ENDPOINT"],
  ["attempt to add duplicate property 't' to object (type 'container')", "OBJECT_EXISTS"],
  ["Parameter 'id' is missing", "OBJECT_OPTION"],
  ["Missing 'dir' property value", "OBJECT_OPTION"],
  ["Property 'tls-creds-x509.loaded' is not writable", "OBJECT_OPTION"],
  ["invalid object type: authz-pam", "OBJECT_TYPE"],
  ["Username a not found in PSK file keys.psk", "PSK"],
  ["Cannot set PSK client credentials: The request is invalid.", "PSK"],
  ["IV should be 16 bytes in length not 3", "SECRET"],
  ["Incorrect number of padding bytes (201) found on decrypted data", "SECRET"],
  ["No secret with id 'nope'", "KEY_PASSPHRASE"],
  ["Cannot load certificate 'a' & key 'b': Decryption has failed.", "KEY_ENCRYPTED"],
  [
    "Cannot load certificate 'a' & key 'b': The certificate and the given key do not match.",
    "KEY_MISMATCH",
  ],
  ["Cannot load certificate 'a' & key 'b': Error while reading file.", "FILE_NOT_READABLE"],
  ["Cert 'CN=a' without corresponding key 'k'", "PAIR_HALF"],
  ["TLS negotiation required before option 7 (go)", "STARTTLS"],
  ["'tls-authz' provided but TLS is not enabled", "OPTION_TLS_ONLY"],
  ["vnc tls is not enabled", "VNC_RELOAD"],
  ["vnc_tls_x509_cert_dir directory '/x' does not exist", "DIRECTORY_MISSING"],
  [
    "Unable to access credentials /etc/pki/qemu/ca-cert.pem: Permission denied",
    "FILE_NOT_ACCESSIBLE",
  ],
  [
    "Use of an external DH parameters file 'x' is deprecated and will be removed",
    "DH_PARAMS_DEPRECATED",
  ],
];

for (const [text, code] of TEXTS) {
  Deno.test(`explain() knows: ${text.slice(0, 80)}`, () => assertEquals(explain(text)?.code, code));
}

Deno.test("explain() puts the place that a message names into its commands, quoted", () => {
  const mend = (dir: string) =>
    explain(`The server certificate ${dir}/server-cert.pem has expired`);
  assertEquals(mend("pki/hosts/vm1")?.mend, "deno task ca issue vm1");
  assertEquals(mend("pki/hosts/vm1")?.confirm, "deno task creds show pki/hosts/vm1");
  assertEquals(mend("/etc/$(reboot)")?.confirm, "deno task creds show '/etc/$(reboot)'");
  assertEquals(mend("/etc/pki/qemu")?.mend, "deno task ca issue HOST");
});

Deno.test("explain() knows nothing of what is no mistake, and does not hang over anything", () => {
  for (
    const text of [
      "",
      "all is well",
      "a".repeat(1_000_000),
      "'".repeat(100_000),
      "/".repeat(100_000),
    ]
  ) {
    assertEquals(explain(text), undefined);
  }
});
