/** `ca import`: a CA that another tool made. */

import { resolve } from "@std/path";
import { changeTold, DIR_FLAG, untilText } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say } from "./_output.ts";
import { foreignPassphrase, PASSPHRASE_FLAG } from "./_passphrase.ts";

/** The command. */
export const caImport: Command = {
  name: "ca import",
  summary: "take over a CA made by certtool, openssl or easy-rsa, and go on from there",
  usage:
    "SOURCE|--ca-cert FILE --ca-key FILE [--certs DIR]… [--index FILE] [--crl FILE] [--dir DIR]",
  examples: [
    ["deno task ca import /etc/easy-rsa/pki --dry-run", "what would be taken over"],
    ["deno task ca import /etc/easy-rsa/pki", "the CA and its hosts, in pki/"],
    ["deno task ca import demoCA --passphrase-file /run/ca-pass", "its key is encrypted"],
    [
      "deno task ca import --ca-cert ca.pem --ca-key ca-key.pem --certs issued --crl crl.pem",
      "files that lie apart",
    ],
  ],
  flags: [
    DIR_FLAG,
    {
      name: "ca-cert",
      value: "FILE",
      help: "the CA's certificate, where it is not found or is not alone",
    },
    { name: "ca-key", value: "FILE", help: "the CA's private key" },
    {
      name: "certs",
      value: "DIR",
      repeat: true,
      help: "folder with certificates and keys of hosts",
    },
    { name: "index", value: "FILE", help: "index.txt of openssl ca" },
    { name: "crl", value: "FILE", help: "the CRL" },
    PASSPHRASE_FLAG,
    { name: "dry-run", help: "say what would be taken over, and write nothing" },
    { name: "json", help: "one JSON object" },
    ENGINE_FLAG,
  ],
  operands: { name: "SOURCE", min: 0, max: 1 },
  notes:
    `SOURCE is looked at with all below it; nothing in it is changed, and DIR must be new or empty.
Taken over are the CA's certificate and key (encrypted it stays encrypted), every certificate that
its key signed, and what index.txt or the CRL revokes, with date and reason. The CRL's number goes
on from the highest that is known. Each host's newest certificates become DIR/hosts/HOST, with the
key where it was found: ca renew, ca issue and ca revoke work on them as on others.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { daysUntil, importAuthority } = await import("../ca/mod.ts");
  const [source] = input.operands;
  const [certificate, key] = [input.get("ca-cert"), input.get("ca-key")];
  if (source === undefined && (certificate === undefined || key === undefined)) {
    throw usage("missing SOURCE", "or give the files: --ca-cert FILE --ca-key FILE");
  }
  const dir = input.get("dir")!;
  const dryRun = input.on("dry-run");
  const result = await importAuthority({
    dir,
    source,
    certificate,
    key,
    certificates: input.all("certs"),
    index: input.get("index"),
    crl: input.get("crl"),
    engine: await engineFor(input),
    passphrase: await foreignPassphrase(input),
    dryRun,
    ...changeTold(dir),
  });
  for (const { file, cause } of result.leftOut) say(`note: ${file} is left out: ${cause}`);
  if (result.missing.length > 0) {
    say(
      `note: of ${result.missing.length} entries of the index there is no certificate: ${
        result.missing[0]
      }`,
    );
  }
  for (const serial of result.nameless) {
    say(`note: certificate ${serial} has no name that a host can have: it is known by its serial`);
  }
  if (result.crlNotPermitted) {
    say("warning: the CA's certificate does not permit it to sign CRLs: others may refuse them");
  }
  if (input.on("json")) {
    console.log(
      JSON.stringify({ ...result, dir: resolve(dir), crlNumber: String(result.crlNumber) }),
    );
    return 0;
  }
  const keyless = result.hosts.filter((one) => one.withoutKey.length > 0).length;
  const until = untilText(result.notAfter, daysUntil(new Date(), result.notAfter));
  console.log(
    line(`${dryRun ? "would take" : "took"} over the CA "${result.name}" of ${result.kind}`),
  );
  console.log(line(`  certificate   ${result.certificate}, valid until ${until}`));
  console.log(line(`  private key   ${result.key}`));
  console.log(`  certificates  ${result.issued}, of which ${result.revoked} revoked`);
  console.log(`  hosts         ${result.hosts.length}, ${keyless} without a key`);
  console.log(`  CRL           number ${result.crlNumber}`);
  if (dryRun) return 0;
  if (result.hosts.length > 0) {
    say(`hint: see what QEMU says of them: deno task creds check ${dir}/hosts/*`);
  }
  if (keyless > 0) {
    say(
      `hint: hosts without a key get new ones with: deno task ca renew HOST --rekey --dir ${dir}`,
    );
  }
  return 0;
}
