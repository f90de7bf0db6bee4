/** A host's new set, as the commands that make one show it. */

import { day } from "../base/mod.ts";
import { resolve } from "@std/path";
import type { IssuedCertificate, IssuedHost, Role } from "../ca/mod.ts";
import { untilText } from "./_ca_flags.ts";
import { say } from "./_output.ts";

/** A host's new set for programs. */
export function issuedJson(host: IssuedHost): Record<string, unknown> {
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

/** A host's new set for people, with the lines for QEMU. */
export async function printIssued(host: IssuedHost, secret: string | undefined): Promise<void> {
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

/** What of a host's new set is not as one may expect. */
export function sayHostNotes(host: IssuedHost): void {
  if (host.cut) {
    const end = day(host.notAfter);
    say(
      `note: ${host.host} is valid until ${end} instead of for ${host.days} days, as its CA ends then`,
    );
  }
  if (!host.named) {
    const why = host.host.length > 64 ? "is too long for a CN" : "is no CN that its CA may give";
    say(`note: ${host.host} ${why}: its subject has none, its alternative names have it`);
  }
  if (host.dropped.length > 0) {
    const files = host.dropped.join(", ");
    say(`note: not in the new set, but kept in ${host.previous}: ${files}`);
  }
}
