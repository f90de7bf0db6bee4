/** What a take-over makes of what was found: whose sets, what is revoked, which CRL number. */

import type { Engine } from "../engine/mod.ts";
import { nextCrlNumber, type RevokedEntry } from "./crl.ts";
import type { Material } from "./import_files.ts";
import { pickCrl, type PickedAuthority, type PickedCertificate } from "./import_pick.ts";
import { type Role, ROLES } from "./profile.ts";
import { crlNumberOf, revokedBy } from "./revoked.ts";

/** What is to be written. */
export interface ImportPlan {
  readonly hosts: readonly {
    readonly host: string;
    readonly sets: ReadonlyMap<Role, PickedCertificate>;
  }[];
  readonly revoked: readonly RevokedEntry[];
  readonly number: bigint;
}

/** Plans a take-over. */
export function planImport(
  material: Material,
  authority: PickedAuthority,
  issued: readonly PickedCertificate[],
  engine: Engine,
  now: Date,
): ImportPlan {
  const crl = pickCrl(material, authority, engine);
  const revoked = new Map<string, RevokedEntry>();
  for (const { serial, revoked: status } of material.index) {
    if (status !== undefined) {
      revoked.set(serial, { serial: Uint8Array.fromHex(serial), ...status });
    }
  }
  // removeFromCRL is for delta lists (RFC 5280 5.3.1).
  for (const entry of crl === undefined ? [] : revokedBy(crl)) {
    if (entry.reason !== 8) revoked.set(entry.serial.toHex(), entry);
  }
  const last = crl === undefined ? 0n : crlNumberOf(crl);
  return {
    hosts: newestSets(issued.filter((one) => !revoked.has(one.serial))),
    revoked: [...revoked.values()],
    number: nextCrlNumber(now, material.crlNumber - 1n, last),
  };
}

/** The last certificate of each host and role; whether it has expired is for `ca renew` to mend. */
function newestSets(issued: readonly PickedCertificate[]): ImportPlan["hosts"] {
  const hosts = new Map<string, Map<Role, PickedCertificate>>();
  const isNewer = (a: PickedCertificate, b: PickedCertificate) =>
    +a.certificate.notAfter - +b.certificate.notAfter ||
    +a.certificate.notBefore - +b.certificate.notBefore;
  for (const one of issued) {
    if (one.host === "") continue;
    const sets = hosts.get(one.host) ?? new Map<Role, PickedCertificate>();
    for (const role of one.roles) {
      const other = sets.get(role);
      if (other === undefined || isNewer(one, other) > 0) sets.set(role, one);
    }
    if (sets.size > 0) hosts.set(one.host, sets);
  }
  return [...hosts].sort(([a], [b]) => a < b ? -1 : 1).map(([host, sets]) => ({
    host,
    sets: new Map(ROLES.flatMap((role) => sets.has(role) ? [[role, sets.get(role)!]] : [])),
  }));
}
