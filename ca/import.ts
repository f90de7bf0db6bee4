/** A CA that another tool made, taken over: its key, its certificates, what it has revoked. */

import { type Clock, systemClock } from "../base/mod.ts";
import type { Engine } from "../engine/mod.ts";
import { type ChangeOptions, changePki } from "./change.ts";
import { CaError } from "./error.ts";
import { type Material, type MaterialOptions, readMaterial } from "./import_files.ts";
import { pickAuthority, pickCertificates, type PickedAuthority } from "./import_pick.ts";
import { planImport } from "./import_plan.ts";
import { stageImport } from "./import_write.ts";
import { ensureRoot, entryNames, isOwnDirectory, isThere, pkiPaths } from "./pki.ts";
import type { Role } from "./profile.ts";

/** What is taken over, and to where. */
export interface ImportOptions extends ChangeOptions {
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
  await changePki(
    paths,
    options,
    (change) => stageImport(paths, change, authority, issued, plan, now),
  );
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
