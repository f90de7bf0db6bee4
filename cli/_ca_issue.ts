/** `ca issue`: credentials for hosts. */

import { resolve } from "@std/path";
import type { IssuedCertificate, IssuedHost, ProfileName, Role } from "../ca/mod.ts";
import {
  DIR_FLAG,
  KEY_TYPE_FLAG,
  keyTypeFor,
  sayWaiting,
  SUBJECT_FLAG,
  untilText,
} from "./_ca_flags.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import {
  authorityPassphrase,
  HOST_PASSPHRASE_FLAG,
  hostPassphrase,
  PASSPHRASE_FLAG,
} from "./_passphrase.ts";
import { type Command, type Input, printable } from "./_command.ts";

/** The command. */
export const caIssue: Command = {
  name: "ca issue",
  summary: "make a directory of credentials for each host, ready for tls-creds-x509,dir=…",
  usage: "HOST… [--dir DIR] [--dns NAME]… [--ip ADDR]… [--role ROLE]… [--days N]",
  examples: [
    ["deno task ca issue host-a host-b", "pki/hosts/host-a and pki/hosts/host-b"],
    [
      "deno task ca issue host-a --dns host-a.example.com --ip 192.0.2.7 --ip 2001:db8::7",
      "every name that others reach it by",
    ],
    ["deno task ca issue 192.0.2.9 --role server", "a host that has only an address"],
    ["deno task ca issue host-a --host-passphrase-file /run/qemu-pass", "its keys encrypted"],
  ],
  flags: [
    DIR_FLAG,
    { name: "dns", value: "NAME", repeat: true, help: "further DNS name of each host" },
    { name: "ip", value: "ADDR", repeat: true, help: "further IP address of each host" },
    {
      name: "role",
      value: "ROLE",
      repeat: true,
      choices: ["server", "client"],
      help: "endpoint to issue for; both when absent",
    },
    KEY_TYPE_FLAG,
    SUBJECT_FLAG,
    {
      name: "profile",
      value: "NAME",
      choices: ["widest", "strict"],
      default: "widest",
      help: "extensions for every QEMU, or as RFC 5280 would have them",
    },
    { name: "allow-wildcard", help: "take a --dns such as *.example.com" },
    { name: "days", value: "N", default: "365", help: "days until it expires" },
    PASSPHRASE_FLAG,
    HOST_PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object for each host" },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST", min: 1, max: 100_000 },
  notes: `A host's directory is replaced in one step; the set it had before is kept in
DIR/previous/HOST until the next. Names are folded to lower case, internationalized ones
become A-labels; a HOST that is an IP address becomes an IP name, and its directory is
called as RFC 5952 spells it (hosts/fd00::1).
Without --subject it is O=<the CA's CN>, which virt-pki-validate looks for. --profile strict
makes the key usage critical on EC keys too: QEMU before 7.2.22 and 8.0 to 10.1.2 refuses that.
The passphrase of an encrypted CA key is asked for on a terminal. One for the hosts' keys must
not end with a line end: QEMU, which reads it from a file too, would take that for a part of it.`,
  run,
};

async function run(input: Input): Promise<number> {
  const { issueHosts, LONGEST_DAYS } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const days = input.number("days", 1, LONGEST_DAYS)!;
  const hosts = input.operands.map((host) => ({
    host,
    dns: input.all("dns"),
    ip: input.all("ip"),
    roles: input.all("role") as Role[],
    profile: input.get("profile") as ProfileName,
    subject: input.get("subject"),
    allowWildcard: input.on("allow-wildcard"),
    keyType: keyTypeFor(input),
    days,
  }));
  const context = {
    dir,
    engine: await engineFor(input),
    hostPassphrase: await hostPassphrase(input),
    passphrase: await authorityPassphrase(input, dir),
    onWait: sayWaiting(dir),
  };
  const secret = input.get(HOST_PASSPHRASE_FLAG.name);
  const issued = await issueHosts(hosts, context);
  for (const [i, host] of issued.entries()) {
    if (input.on("json")) console.log(JSON.stringify(toJson(host)));
    else await printHost(host, secret);
    sayNotes(host, input.operands[i]!, days);
  }
  if (secret === "-" && !input.on("json")) {
    console.error("note: QEMU wants the passphrase in the file that file= is to name, no line end");
  }
  return 0;
}

function toJson(host: IssuedHost): Record<string, unknown> {
  const byRole = (pick: (one: IssuedCertificate) => string) =>
    Object.fromEntries(host.certificates.map((one) => [one.role, pick(one)]));
  return {
    host: host.host,
    dir: resolve(host.dir),
    dns: host.dns,
    ip: host.ip,
    keyType: host.keyType,
    notBefore: host.notBefore,
    notAfter: host.notAfter,
    serials: byRole((one) => one.serial),
    sha256: byRole((one) => one.sha256),
    files: host.files.map((file) => resolve(file)),
    previous: host.previous === undefined ? null : resolve(host.previous),
  };
}

async function printHost(host: IssuedHost, secret: string | undefined): Promise<void> {
  const { daysUntil } = await import("../ca/mod.ts");
  const names = [...host.dns.map((name) => `DNS ${name}`), ...host.ip.map((name) => `IP ${name}`)];
  console.log(`issued for ${host.host} (${host.keyType})`);
  console.log(`  directory    ${host.dir}`);
  console.log(`  names        ${names.join(", ")}`);
  console.log(`  valid until  ${untilText(host.notAfter, daysUntil(new Date(), host.notAfter))}`);
  for (const { role } of host.certificates) {
    console.log(`  ${role}       ${objectLine(host, role, secret)}`);
  }
}

/** The options as QEMU reads them: a comma in a value is doubled, a secret comes first. */
function objectLine(host: IssuedHost, role: Role, secret: string | undefined): string {
  const path = (file: string) => resolve(file).replaceAll(",", ",,");
  const creds = `-object tls-creds-x509,id=tls0,dir=${
    path(host.dir)
  },endpoint=${role},verify-peer=on`;
  if (secret === undefined) return creds;
  const file = secret === "-" ? "PASSPHRASE-FILE" : path(secret);
  return `-object secret,id=tls0-key,file=${file} ${creds},passwordid=tls0-key`;
}

function sayNotes(host: IssuedHost, asked: string, days: number): void {
  const say = (text: string) => console.error(`note: ${text}`);
  if (asked !== host.host) say(`${printable(asked)} is issued as ${host.host}`);
  if (host.cut) {
    const end = host.notAfter.toISOString().slice(0, 10);
    say(`${host.host} is valid until ${end} instead of for ${days} days, as its CA ends then`);
  }
  if (!host.named) {
    const why = host.host.length > 64 ? "is too long for a CN" : "is no CN that its CA may give";
    say(`${host.host} ${why}: its subject has none, its alternative names have it`);
  }
  if (host.dropped.length > 0) {
    say(`not in the new set, but kept in ${host.previous}: ${printable(host.dropped.join(", "))}`);
  }
}
