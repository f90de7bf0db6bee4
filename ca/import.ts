/** A CA that another tool made, taken over: its key, its certificates, what it has revoked. */

import { type Clock, createFile, encodePem, systemClock } from "../base/mod.ts";
import type { Engine } from "../engine/mod.ts";
import type { Act } from "./act.ts";
import { type Change, changePki } from "./change.ts";
import { crlNumberAt, type RevokedEntry, signCrl } from "./crl.ts";
import { CaError } from "./error.ts";
import { authorityKeyIdentifier } from "./extensions.ts";
import { serialOf } from "./held.ts";
import { type Material, type MaterialOptions, readMaterial } from "./import_files.ts";
import {
  pickAuthority,
  pickCertificates,
  pickCrl,
  type PickedAuthority,
  type PickedCertificate,
} from "./import_pick.ts";
import type { LockOptions } from "./lock.ts";
import { sha256 } from "./log_entry.ts";
import {
  CA_CERTIFICATE_FILE,
  CA_CRL_FILE,
  CA_KEY_FILE,
  ensureRoot,
  entryNames,
  isOwnDirectory,
  isThere,
  type PkiPaths,
  pkiPaths,
} from "./pki.ts";
import { type Role, ROLES } from "./profile.ts";
import { CRL_LABEL, crlNumberOf, revokedBy } from "./revoked.ts";
import { issuerId } from "./store.ts";
import { crlDates } from "./validity.ts";

/** What is taken over, and to where. */
export interface ImportOptions extends LockOptions {
  /** The new authority's directory: not there yet, or empty. */
  readonly dir: string;
  /** A folder that another tool filled; looked at with all below it, changed in no way. */
  readonly source?: string | undefined;
  /** The CA's certificate and key, where they lie elsewhere or are not told apart. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  /** Further folders with certificates and keys of hosts. */
  readonly certificates?: readonly string[];
  /** The `index.txt`, where it is called otherwise. */
  readonly index?: string | undefined;
  readonly crl?: string | undefined;
  readonly engine: Engine;
  /** Of the CA's key; it stays encrypted with it. */
  readonly passphrase?: string | undefined;
  /** Says what would be taken over, and writes nothing. */
  readonly dryRun?: boolean;
  readonly clock?: Clock;
}

/** A host that was taken over. */
export interface ImportedHost {
  readonly host: string;
  readonly roles: readonly Role[];
  /** Roles whose key was not found: they have a certificate alone. */
  readonly withoutKey: readonly Role[];
}

/** What was taken over. */
export interface ImportResult {
  readonly dir: string;
  readonly kind: Material["kind"];
  /** The CA's subject. */
  readonly name: string;
  /** Where its certificate and key were found. */
  readonly certificate: string;
  readonly key: string;
  readonly notAfter: Date;
  /** How many certificates it issued; their hosts may have several. */
  readonly issued: number;
  readonly hosts: readonly ImportedHost[];
  /** Certificates that are found by their serial alone: their names are none that a host can have. */
  readonly nameless: readonly string[];
  readonly revoked: number;
  readonly crlNumber: bigint;
  /** Serials of the index whose certificate was not found. */
  readonly missing: readonly string[];
  /** Files that were left out, and why. */
  readonly leftOut: readonly { readonly file: string; readonly cause: string }[];
  /** Whether the CA's own certificate says that it may not sign CRLs. */
  readonly crlNotPermitted: boolean;
}

/**
 * Takes a CA over and goes on from there: what it issued is known, what it revoked stays revoked,
 * with date and reason, in a CRL of a higher number. The newest set of each host becomes its
 * directory. The source is read and never written.
 *
 * @throws {CaError} `IMPORT` For a source that is no CA, or not one alone; `NOT_EMPTY`.
 * @throws {BaseError} `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `FILE_NOT_WRITABLE`.
 */
export async function importAuthority(options: ImportOptions): Promise<ImportResult> {
  const paths = pkiPaths(options.dir);
  refuseOccupied(paths.root);
  const now = (options.clock ?? systemClock)();
  const source = options.source ?? options.certificate ?? options.key ?? options.dir;
  const material = readMaterial(placesOf(options));
  const { engine } = options;
  const authority = await pickAuthority(source, material, { ...options, engine });
  using _key = authority.key;
  refuseNoSigner(authority);
  const picked = await pickCertificates(material, authority, engine);
  const plan = planImport(material, authority, picked.issued, engine, now);
  const { issued } = picked;
  const serials = new Set(issued.map((one) => one.serial));
  const result: ImportResult = {
    dir: paths.root,
    kind: material.kind,
    name: authority.certificate.subject.text,
    certificate: authority.file,
    key: authority.keyFile,
    notAfter: authority.certificate.notAfter,
    issued: issued.length,
    hosts: plan.hosts.map(({ host, sets }) => ({
      host,
      roles: [...sets.keys()],
      withoutKey: [...sets].filter(([, one]) => one.keyPem === undefined).map(([role]) => role),
    })),
    nameless: issued.filter((one) => one.host === "").map((one) => one.serial),
    revoked: plan.revoked.length,
    crlNumber: plan.number,
    missing: material.index.map((one) => one.serial).filter((serial) => !serials.has(serial)),
    leftOut: [...picked.foreign, ...material.unreadable],
    crlNotPermitted: authority.certificate.keyUsage?.usages.includes("cRLSign") === false,
  };
  if (options.dryRun) return result;
  ensureRoot(paths.root);
  await changePki(paths, options, (change) => write(paths, change, authority, issued, plan, now));
  return result;
}

function placesOf(options: ImportOptions): MaterialOptions {
  const { source, certificate, key, certificates = [], index, crl } = options;
  if (source === undefined && (certificate === undefined || key === undefined)) {
    throw new CaError("IMPORT", {
      file: "nothing",
      cause: "neither a folder nor the CA's files are named",
      hint: "deno task ca import DIR, or --ca-cert FILE --ca-key FILE",
    });
  }
  return {
    folders: [...source === undefined ? [] : [source], ...certificates],
    files: [certificate, key, crl].filter((file) => file !== undefined),
    index,
  };
}

function refuseNoSigner({ certificate, file }: PickedAuthority): void {
  if (certificate.keyUsage?.usages.includes("keyCertSign") !== false) return;
  throw new CaError("IMPORT", {
    file,
    cause: "its key usage does not permit certificate signing",
    hint: "name the CA's own certificate: --ca-cert FILE",
  });
}

function refuseOccupied(dir: string): void {
  if (!isThere(dir) || isOwnDirectory(dir) && entryNames(dir).length === 0) return;
  throw new CaError("NOT_EMPTY", {
    file: dir,
    cause: "something is there, and an import overwrites nothing",
    hint: "choose a new directory: --dir DIR",
  });
}

/** What is to be written. */
interface Plan {
  readonly hosts: readonly {
    readonly host: string;
    readonly sets: ReadonlyMap<Role, PickedCertificate>;
  }[];
  readonly revoked: readonly RevokedEntry[];
  readonly number: bigint;
}

function planImport(
  material: Material,
  authority: PickedAuthority,
  issued: readonly PickedCertificate[],
  engine: Engine,
  now: Date,
): Plan {
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
  const numbers = [
    BigInt(`0x${crlNumberAt(now).toHex()}`),
    material.crlNumber,
    crl === undefined ? 0n : crlNumberOf(crl) + 1n,
  ];
  return {
    hosts: newestSets(issued.filter((one) => !revoked.has(one.serial))),
    revoked: [...revoked.values()],
    number: numbers.reduce((a, b) => a > b ? a : b),
  };
}

/** The last certificate of each host and role; whether it has expired is for `ca renew` to mend. */
function newestSets(issued: readonly PickedCertificate[]): Plan["hosts"] {
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

async function write(
  paths: PkiPaths,
  change: Change,
  authority: PickedAuthority,
  issued: readonly PickedCertificate[],
  plan: Plan,
  now: Date,
): Promise<void> {
  refuseOccupiedBut(paths);
  const { certificate, key, keyPem, chain } = authority;
  const { notBefore, notAfter, subjectKeyId } = certificate;
  const crl = await signCrl({
    issuer: certificate.subject.raw,
    ...crlDates(now, { notBefore, notAfter }),
    number: bytesOf(plan.number),
    ...(subjectKeyId === undefined
      ? {}
      : { authorityKey: authorityKeyIdentifier(subjectKeyId.id) }),
    revoked: plan.revoked,
  }, key);
  const bundle = [certificate, ...chain].map((one) => encodePem("CERTIFICATE", one.raw)).join("");
  const list = encodePem(CRL_LABEL, crl);
  const staged = change.stageAuthority("create");
  createFile(`${staged}/${CA_KEY_FILE}`, keyPem, 0o600, false);
  createFile(`${staged}/${CA_CERTIFICATE_FILE}`, bundle, 0o644, false);
  createFile(`${staged}/${CA_CRL_FILE}`, list, 0o644, false);
  for (const { host, sets } of plan.hosts) {
    const directory = change.stageHost(host);
    createFile(`${directory}/${CA_CERTIFICATE_FILE}`, bundle, 0o644, false);
    createFile(`${directory}/${CA_CRL_FILE}`, list, 0o644, false);
    for (const [role, one] of sets) {
      const pem = encodePem("CERTIFICATE", one.certificate.raw);
      createFile(`${directory}/${role}-cert.pem`, pem, 0o644, false);
      if (one.keyPem !== undefined) {
        createFile(`${directory}/${role}-key.pem`, one.keyPem, 0o600, false);
      }
    }
  }
  change.signedBy({ key, [Symbol.dispose]: () => {} });
  for (const act of actsOf(authority, issued, plan)) change.record(act);
  const issuer = issuerId(certificate.subject.raw);
  change.record({ act: "crl", issuer, number: plan.number, sha256: sha256(crl) });
}

function actsOf(
  { certificate: own, file, chain }: PickedAuthority,
  issued: readonly PickedCertificate[],
  plan: Plan,
): Act[] {
  const issuer = issuerId(own.subject.raw);
  const owners = new Map(issued.map((one) => [one.serial, one.host]));
  return [
    {
      act: "import",
      issuer: issuerId(own.issuer.raw),
      serial: serialOf(own),
      certificate: own.raw,
      note: `the CA, ${file}`,
    },
    ...chain.map((one): Act => ({
      act: "import",
      issuer: issuerId(one.issuer.raw),
      serial: serialOf(one),
      certificate: one.raw,
      note: "its issuer",
    })),
    ...issued.map(({ host, serial, certificate, file }): Act => ({
      act: "import",
      host,
      issuer,
      serial,
      certificate: certificate.raw,
      note: file,
    })),
    ...plan.revoked.map(({ serial, date, reason }): Act => {
      const text = serial.toHex();
      const host = owners.get(text);
      return {
        act: "revoke",
        ...(host === undefined ? {} : { host }),
        issuer,
        serial: text,
        revoked: { date, ...(reason === undefined ? {} : { reason }) },
        note: "before the import",
      };
    }),
  ];
}

/** Another command may have made a CA while this one read. */
function refuseOccupiedBut(paths: PkiPaths): void {
  for (const file of [paths.caCertificate, paths.caKey, paths.caKeyUri, paths.caCrl]) {
    if (isThere(file)) throw new CaError("CA_EXISTS", { file });
  }
}

function bytesOf(number: bigint): Uint8Array {
  const digits = number.toString(16);
  return Uint8Array.fromHex(digits.padStart(digits.length + digits.length % 2, "0"));
}
