/** `ca init`: a new authority. */

import {
  changeTold,
  DIR_FLAG,
  KEY_TYPE_FLAG,
  keyTypeFor,
  SUBJECT_FLAG,
  untilText,
} from "./_ca_flags.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say } from "./_output.ts";
import {
  newPassphrase,
  PASSPHRASE_FLAG,
  ROOT_DIR_FLAG,
  ROOT_PASSPHRASE_FLAG,
  rootOptions,
  tokenPin,
} from "./_passphrase.ts";
import type { InitOptions } from "../ca/mod.ts";
import { type Command, type Input, usage } from "./_command.ts";

/** The command. */
export const caInit: Command = {
  name: "ca init",
  summary: "make a CA: its key, its certificate and an empty CRL",
  usage: "[--dir DIR] [--name CN] [--key-type TYPE] [--days N]",
  examples: [
    ["deno task ca init", "a CA in pki/"],
    ['deno task ca init --dir /srv/pki --name "Example Virt CA"', "another place, another name"],
    ["deno task ca init --key-type rsa-3072 --days 7300", "RSA, for twenty years"],
    ["deno task ca init --passphrase-file /run/ca-pass", "its key encrypted"],
    [
      "deno task ca init --permit-dns rack7.example --permit-ip 192.0.2.0/24",
      "a CA that nobody trusts for any other name",
    ],
    [
      'deno task ca init --key "pkcs11:token=virt;object=ca-key;type=private"',
      "its key in a token, which signs",
    ],
    ["deno task ca init --root-dir /media/root", "an issuing CA under a root kept offline"],
  ],
  flags: [
    DIR_FLAG,
    { name: "name", value: "CN", default: "virtcreds CA", help: "common name of the CA" },
    SUBJECT_FLAG,
    {
      name: "permit-dns",
      value: "DOMAIN",
      repeat: true,
      help: "vouch only for DNS names in this domain",
    },
    {
      name: "permit-ip",
      value: "NETWORK",
      repeat: true,
      help: "vouch only for addresses in this network",
    },
    KEY_TYPE_FLAG,
    { name: "days", value: "N", default: "3650", help: "days until it expires" },
    {
      name: "key",
      value: "URI",
      help: "pkcs11: URI of the key in a token that is to sign, in the place of a new one",
    },
    PASSPHRASE_FLAG,
    ROOT_DIR_FLAG,
    {
      name: "root-name",
      value: "CN",
      help: "common name of the root, where it is made; virtcreds root CA when absent",
    },
    ROOT_PASSPHRASE_FLAG,
    ENGINE_FLAG,
  ],
  notes: `An existing CA is never overwritten. With --passphrase-file the key is encrypted (PBES2,
AES-256-CBC, PBKDF2-SHA-256 with 600,000 rounds), as openssl and certtool read it; on a terminal
--passphrase-file - asks for the passphrase. A token's URI lies in DIR/ca-key.uri, its PIN nowhere.
What --permit-dns and --permit-ip allow stands in the certificate as critical name constraints; a
kind of name that neither speaks of stays free.
With --root-dir this is an issuing CA: the root in that directory signs its certificate. Where there
is no root it is made, for twice as long, if the directory around it is there; take the directory away then, and bring it for renew
--ca, rotate start and crl alone. What hosts get suits every line of QEMU: both CAs in ca-cert.pem,
the issuing CA's certificate behind their own.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { daysUntil, initAuthority, LONGEST_DAYS } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const key = input.get("key");
  const made = await initAuthority({
    dir,
    name: input.get("name")!,
    subject: input.get("subject"),
    permitDns: input.all("permit-dns"),
    permitIp: input.all("permit-ip"),
    keyType: keyTypeFor(input),
    days: input.number("days", 1, LONGEST_DAYS)!,
    engine: await engineFor(input),
    key,
    root: await rootFor(input),
    passphrase: key === undefined ? await newPassphrase(input) : await tokenPin(input),
    ...changeTold(dir),
  });
  const until = untilText(made.notAfter, daysUntil(new Date(), made.notAfter));
  console.log(`made the CA "${made.name}" (${made.keyType ?? "key in a token"})`);
  console.log(`  certificate  ${made.files.certificate}, valid until ${until}`);
  console.log(
    key === undefined
      ? `  private key  ${made.files.key}, mode 0600: back it up, keep it off the hosts`
      : `  private key  in the token that ${made.files.key} names`,
  );
  console.log(`  CRL          ${made.files.crl}, empty`);
  console.log(`  SHA-256      ${made.sha256}`);
  if (made.root !== undefined) {
    const { name, dir, isNew } = made.root;
    console.log(
      line(`  root         ${name}, ${isNew ? "made in" : "of"} ${dir}: keep it offline`),
    );
    if (isNew) say(`note: made a new root, as there was none in ${dir}`);
  }
  say(`hint: now issue for a host: deno task ca issue HOST${dirFlag(dir)}`);
  return 0;
}

async function rootFor(input: Input): Promise<InitOptions["root"]> {
  const name = input.get("root-name");
  const root = await rootOptions(input, true);
  if (root !== undefined) return { ...root, name };
  if (name !== undefined) {
    throw usage("--root-name is for --root-dir", "see: deno task ca init --help");
  }
  return undefined;
}

function dirFlag(dir: string): string {
  return dir === DIR_FLAG.default ? "" : ` --dir ${dir}`;
}
