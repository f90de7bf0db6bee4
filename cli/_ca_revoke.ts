/** `ca revoke` and `ca crl`: certificates that shall be taken by nobody any more. */

import type { CrlOptions, PublishedCrl, ReasonName } from "../ca/mod.ts";
import { changeTold, DIR_FLAG, sayStrayFiles } from "./_ca_flags.ts";
import type { Command, Flag, Input } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { say } from "./_output.ts";
import {
  authorityPassphrase,
  PASSPHRASE_FLAG,
  ROOT_DIR_FLAG,
  ROOT_PASSPHRASE_FLAG,
  rootOptions,
} from "./_passphrase.ts";

const DAYS_FLAG: Flag = {
  name: "days",
  value: "N",
  help: "days until the next CRL is due; until the CA ends when absent",
};

/** The command. */
export const caRevoke: Command = {
  name: "ca revoke",
  summary: "revoke a host's certificates, or one by its serial, and publish the CRL",
  usage: "HOST|SERIAL… [--reason REASON] [--dir DIR]",
  examples: [
    ["deno task ca revoke host-a --reason keyCompromise", "all that host-a has and had"],
    ["deno task ca revoke 5f:0a:… --reason superseded", "one certificate"],
  ],
  flags: [
    DIR_FLAG,
    {
      name: "reason",
      value: "REASON",
      choices: [
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "certificateHold",
        "privilegeWithdrawn",
        "aACompromise",
      ],
      default: "unspecified",
      help: "as RFC 5280 5.3.1 names it",
    },
    DAYS_FLAG,
    PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object" },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST|SERIAL", min: 1, max: 10_000 },
  notes:
    `Of a host every certificate is revoked that has not expired, earlier sets included. The CRL is
written to DIR and to every DIR/hosts/HOST; copy ca-crl.pem to the hosts, and make the TLS objects
of running QEMUs anew: a server reads it once, a client never does.`,
  run: revoke,
};

/** The command. */
export const caCrl: Command = {
  name: "ca crl",
  summary: "publish the CRL anew, with a higher number",
  usage: "[--days N] [--dir DIR]",
  examples: [
    ["deno task ca crl", "the same revocations, good until the CA ends"],
    ["deno task ca crl --days 30", "for those who want to see a new one each month"],
    ["deno task ca crl --root-dir /media/root", "that of an issuing CA's root too"],
  ],
  flags: [
    DIR_FLAG,
    DAYS_FLAG,
    PASSPHRASE_FLAG,
    ROOT_DIR_FLAG,
    ROOT_PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object" },
    ENGINE_FLAG,
  ],
  notes: "QEMU and libvirt take a CRL that is past its next update; others may not.",
  run: crl,
};

async function revoke(input: Input): Promise<number> {
  const { revokeCertificates } = await import("../ca/mod.ts");
  const reason = input.get("reason") as ReasonName;
  const result = await revokeCertificates(input.operands, reason, await optionsFor(input));
  await sayStrayFiles(input.get("dir")!);
  const rowOf = ({ host, serial }: { readonly host: string; readonly serial: string }) => ({
    host,
    serial,
  });
  if (input.on("json")) {
    const [revoked, already] = [result.revoked.map(rowOf), result.already.map(rowOf)];
    console.log(JSON.stringify({ reason, revoked, already, crl: crlJson(result.crl) }));
    return 0;
  }
  for (const { host, serial } of result.revoked) console.log(`revoked ${serial} of ${host}`);
  for (const { host, serial } of result.already) {
    say(`note: ${serial} of ${host} was revoked before`);
  }
  printCrl(result.crl);
  return 0;
}

async function crl(input: Input): Promise<number> {
  const { publishCrl } = await import("../ca/mod.ts");
  const root = await rootOptions(input);
  const made = await publishCrl({ ...await optionsFor(input), root });
  await sayStrayFiles(input.get("dir")!);
  if (input.on("json")) console.log(JSON.stringify(crlJson(made)));
  else printCrl(made);
  return 0;
}

async function optionsFor(input: Input): Promise<CrlOptions> {
  const { LONGEST_DAYS } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  return {
    dir,
    days: input.number("days", 1, LONGEST_DAYS),
    engine: await engineFor(input),
    passphrase: await authorityPassphrase(input, dir),
    ...changeTold(dir),
  };
}

function crlJson(made: PublishedCrl): Record<string, unknown> {
  return { ...made, number: String(made.number) };
}

function printCrl(made: PublishedCrl): void {
  const [count, hosts] = [made.count, made.hosts.length];
  const until = made.nextUpdate.toISOString().slice(0, 10);
  console.log(
    `CRL ${made.number}, ${count} ${count === 1 ? "certificate" : "certificates"}, until ${until}`,
  );
  console.log(
    `  in ${made.file} and in the ca-crl.pem of ${hosts} ${hosts === 1 ? "host" : "hosts"}`,
  );
  if (hosts > 0) say("hint: copy ca-crl.pem to every server and make its TLS objects anew");
}
