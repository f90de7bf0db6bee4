/** `ca sign`: certificates from the requests of hosts that keep their keys. */

import { resolve } from "@std/path";
import type { HostRequest, ProfileName, Role, SignOutcome } from "../ca/mod.ts";
import { changeTold, DIR_FLAG, SUBJECT_FLAG, untilText } from "./_ca_flags.ts";
import { issuedJson, sayHostNotes } from "./_ca_issued.ts";
import type { Command, Input } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say, sayError } from "./_output.ts";
import { authorityPassphrase, PASSPHRASE_FLAG } from "./_passphrase.ts";

/** The command. */
export const caSign: Command = {
  name: "ca sign",
  summary: "issue from requests of hosts that keep their keys to themselves",
  usage: "FILE… [--host HOST]… [--dns NAME]… [--ip ADDR]… [--inventory FILE] [--dir DIR]",
  examples: [
    [
      "deno task ca sign request.pem --host vm1.example --ip 192.0.2.7",
      "the request of vm1.example, which may have this address too",
    ],
    ["deno task ca sign incoming/*.pem --inventory hosts.csv", "what the inventory allows"],
    [
      "deno task ca sign old.csr new.csr --host vm1.example --host vm2.example",
      "each has to be of one of these hosts",
    ],
  ],
  flags: [
    DIR_FLAG,
    {
      name: "host",
      value: "HOST",
      repeat: true,
      help: "host that the file is from; with several files, one that they may be from",
    },
    { name: "dns", value: "NAME", repeat: true, help: "DNS name that each host may have too" },
    { name: "ip", value: "ADDR", repeat: true, help: "IP address that each host may have too" },
    { name: "inventory", value: "FILE", help: "what each host may have, by its row" },
    {
      name: "role",
      value: "ROLE",
      repeat: true,
      choices: ["server", "client"],
      help: "endpoint that may be asked for; both when absent",
    },
    SUBJECT_FLAG,
    {
      name: "profile",
      value: "NAME",
      choices: ["widest", "strict"],
      default: "widest",
      help: "extensions for every QEMU, or as RFC 5280 would have them",
    },
    { name: "allow-wildcard", help: "take names such as *.example.com" },
    { name: "days", value: "N", help: "days until it expires; the row's or 365 when absent" },
    PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object for each host or file" },
    ENGINE_FLAG,
  ],
  operands: { name: "FILE", min: 1, max: 100_000 },
  exitOne: "a file could not be signed, or a name that was asked for was refused",
  notes:
    `A FILE has PKCS#10 requests, PEM or DER, of any tool; several files of one host make one set. Without
--host the host is the one that the request names: look where the file comes from. A host that has
other keys, or whose keys were made here, gets new ones by --host alone. Who made the request
has to have signed it with its key. Granted are, of the names asked for, HOST itself, the ones
given with --dns and --ip, those of its row in the inventory, and those of the certificates that
it had; the rest is refused by name, and all else that a request wants is the CA's to decide. A
request without names gets HOST and those of --dns and --ip.
pki/hosts/HOST then has all but the keys: copy it back to the host, where
deno task ca request --install puts it together with them. ca renew goes on with the same keys.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { LONGEST_DAYS, signRequests } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const days = input.number("days", 1, LONGEST_DAYS);
  const rows = await inventoryRows(input);
  const outcomes = await signRequests({
    dir,
    files: input.operands,
    hosts: input.all("host"),
    ...(rows === undefined ? {} : { rows: rows.good }),
    dns: input.all("dns"),
    ip: input.all("ip"),
    roles: input.all("role") as Role[],
    profile: input.get("profile") as ProfileName,
    subject: input.get("subject"),
    allowWildcard: input.on("allow-wildcard"),
    ...(days === undefined ? {} : { days }),
    engine: await engineFor(input),
    passphrase: await authorityPassphrase(input, dir),
    ...changeTold(dir),
  });
  let bad = rows?.bad ?? 0;
  for (const outcome of outcomes) {
    if (!outcome.ok || outcome.refused.length > 0) bad++;
    if (input.on("json")) console.log(JSON.stringify(outcomeJson(outcome)));
    await print(outcome, input);
  }
  return bad > 0 ? 1 : 0;
}

async function inventoryRows(
  input: Input,
): Promise<{ readonly good: HostRequest[]; readonly bad: number } | undefined> {
  const file = input.get("inventory");
  if (file === undefined) return undefined;
  const { readInventory } = await import("../ca/mod.ts");
  const rows = await readInventory(file, { allowWildcard: input.on("allow-wildcard") });
  const good: HostRequest[] = [];
  for (const row of rows) {
    if (row.ok) good.push(row.request);
    else sayError(row.where, row.error);
  }
  return { good, bad: rows.length - good.length };
}

function outcomeJson(outcome: SignOutcome): Record<string, unknown> {
  const files = outcome.files.map((file) => resolve(file));
  if (!outcome.ok) {
    return { ok: false, host: outcome.host ?? null, requests: files, error: outcome.error.message };
  }
  const { issued, refused, ignored } = outcome;
  return { ok: true, ...issuedJson(issued), requests: files, refused, ignored };
}

async function print(
  outcome: SignOutcome,
  input: Input,
): Promise<void> {
  if (!outcome.ok) {
    const subject = outcome.host === undefined || outcome.error.message.includes(outcome.host)
      ? outcome.files.join(", ")
      : `${outcome.files.join(", ")} of ${outcome.host}`;
    return sayError(subject, outcome.error);
  }
  const { host, issued, refused, ignored } = outcome;
  const { daysUntil } = await import("../ca/mod.ts");
  const left = daysUntil(new Date(), issued.notAfter);
  if (!input.on("json")) {
    const names = [
      ...issued.dns.map((name) => `DNS ${name}`),
      ...issued.ip.map((name) => `IP ${name}`),
    ];
    console.log(line(`signed for ${host} (${issued.keyType})`));
    console.log(line(`  directory    ${issued.dir}, without the keys: copy it back to the host`));
    console.log(line(`  names        ${names.join(", ")}`));
    console.log(`  roles        ${issued.certificates.map(({ role }) => role).join(", ")}`);
    console.log(`  valid until  ${untilText(issued.notAfter, left)}`);
  }
  for (const { name, cause } of refused) {
    say(`error: refused for ${host}: ${name}: ${cause}`, ...allowHint(name, cause));
  }
  if (ignored.length > 0) say(`note: not taken from the request of ${host}: ${ignored.join(", ")}`);
  sayHostNotes(issued);
}

function allowHint(name: string, cause: string): string[] {
  if (!cause.startsWith("it is not allowed")) return [];
  const flag = /^[\d.]+$|:/.test(name) ? "ip" : "dns";
  return [`if it may have it: sign again with --${flag} ${name}`];
}
