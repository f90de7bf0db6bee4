import { assert, assertEquals } from "@std/assert";
import { checkCredentials, explain, LIBVIRT_PROFILES, PAGES, PROFILES } from "../../creds/mod.ts";
import { writeCredentials } from "../support/certificates.ts";
import { MEASURED_CASES, QEMU_CASES } from "../support/credential_cases.ts";
import { MESSAGES } from "./explain_messages.ts";
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
    assert(confirm !== mend, `${code} confirms with what mends`);
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

/** What journald, syslog, QEMU's log and libvirt's put before a message. */
const PREFIXES = [
  "",
  "qemu-system-x86_64: ",
  "2026-11-24T09:12:01.123456Z qemu-system-x86_64: ",
  "qemu-nbd: option negotiation failed: ",
  "Nov 24 09:12:01 vm1 qemu-system-x86_64[4242]: qemu-system-x86_64: ",
  "2026-11-24 09:12:01.123+0000: 4242: error : virNetTLSContextSanityCheckCredentials:607 : ",
  "Nov 24 09:12:01 vm1 libvirtd[811]: internal error: QEMU unexpectedly closed the monitor: ",
  "error: internal error: unable to execute QEMU command 'object-add': ",
  '{"error": {"class": "GenericError", "desc": "',
] as const;

Deno.test("explain() has a page for every message, whatever a log puts before it", () => {
  assert(MESSAGES.length > 200, `${MESSAGES.length} messages`);
  const wrong: string[] = [];
  for (const [text, code] of MESSAGES) {
    for (const prefix of PREFIXES) {
      const found = explain(`${prefix}${text}`)?.code;
      if (found !== code) wrong.push(`${prefix}${text}: ${found}, not ${code}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("explain() puts the place that a message names into its commands, quoted", () => {
  const mend = (dir: string) =>
    explain(`The server certificate ${dir}/server-cert.pem has expired`);
  assertEquals(mend("pki/hosts/vm1")?.mend, "deno task ca issue vm1");
  assertEquals(mend("pki/hosts/vm1")?.confirm, "deno task creds show pki/hosts/vm1");
  assertEquals(mend("/etc/$(reboot)")?.confirm, "deno task creds show '/etc/$(reboot)'");
  assertEquals(mend("/etc/pki/qemu")?.mend, "deno task ca issue HOST");
});

Deno.test("explain() knows libvirt's names of files, and mends them with an export", () => {
  for (
    const text of [
      "Cannot read CA certificate '/etc/pki/CA/cacert.pem': No such file or directory",
      "Certificate '/etc/pki/libvirt/servercert.pem' does not exist: No such file or directory",
      "CA certificate '/home/me/.pki/libvirt/cacert.pem' does not exist: No such file or directory",
    ]
  ) {
    const page = explain(text)!;
    assertEquals(page.code, "FILE_MISSING");
    assertEquals(page.mend.includes("deno task ca export HOST --layout libvirt"), true, page.mend);
    assertEquals(page.cause.includes("and not QEMU's"), false, page.cause);
  }
  const own = explain("Unable to access credentials /p/ca-cert.pem: No such file or directory")!;
  assertEquals(own.mend, "deno task ca issue HOST");
});

Deno.test("explain() takes a place with blanks whole", () => {
  const rows: readonly (readonly [text: string, dir: string])[] = [
    ["The server certificate /srv/my pki/server-cert.pem has expired", "'/srv/my pki'"],
    ["The server certificate my pki/h/server-cert.pem has expired", "'my pki/h'"],
    ["The server certificate pki/hosts/a b/server-cert.pem has expired", "'pki/hosts/a b'"],
    [
      "Nov 24 09:12:01 vm1 qemu[42]: The CA certificate /srv/my pki/v 2/ca-cert.pem has expired",
      "'/srv/my pki/v 2'",
    ],
  ];
  for (const [text, dir] of rows) {
    assertEquals(explain(text)?.confirm, `deno task creds show ${dir}`, text);
  }
  const read = "Cannot read CA certificate '/srv/my pki/CA/cacert.pem': No such file or directory";
  assertEquals(explain(read)?.confirm, "ls -ld '/srv/my pki/CA' && ls -l '/srv/my pki/CA'");
  const text =
    "Our own certificate /a b/server-cert.pem failed validation against /a b/ca-cert.pem: The certificate has been revoked";
  assertEquals(explain(text)?.confirm, "openssl crl -noout -text -in '/a b'/ca-crl.pem");
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
