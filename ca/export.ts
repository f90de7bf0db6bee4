/** A host's credentials as another program wants them to lie: planned, then packed or written. */

import {
  type Clock,
  readFileLimited,
  readTextLimited,
  shellWord,
  systemClock,
} from "../base/mod.ts";
import {
  type Account,
  type CredentialFileName,
  findLayout,
  type Layout,
  type LayoutEntry,
} from "../creds/mod.ts";
import { layoutAccount, parseAccount } from "./account.ts";
import { isEncrypted } from "./authority_key.ts";
import { type DhGroup, dhParamsPem } from "./dh_params.ts";
import { CaError } from "./error.ts";
import { remakeHints } from "./export_check.ts";
import { type HeldSet, readHeld } from "./held.ts";
import { parseHostName } from "./host_name.ts";
import { isThere, pkiPaths, REQUEST_FILE } from "./pki.ts";
import { isRevoked } from "./plan.ts";
import { readRevoked } from "./revoked.ts";
import type { TarAccount } from "./tar.ts";

/** What is exported, and how. */
export interface ExportOptions {
  /** The authority's directory. */
  readonly dir: string;
  readonly host: string;
  /** Name of one of `LAYOUTS`. */
  readonly layout: string;
  /** In the place of the layout's own directory on the host. */
  readonly place?: string | undefined;
  /** Name or number that owns all of it, in the place of the layout's owners. */
  readonly owner?: string | undefined;
  readonly group?: string | undefined;
  /** Permission bits of the private keys, in the place of the layout's. */
  readonly keyMode?: number | undefined;
  /** Adds `dh-params.pem`. */
  readonly dhParams?: DhGroup | undefined;
  readonly clock?: Clock;
}

/** A file or directory of an export. */
export interface ExportEntry {
  /** From the place; empty for the place itself. */
  readonly path: string;
  /** A directory has none. */
  readonly data?: Uint8Array<ArrayBuffer>;
  /** The file of the host's set that it is a copy of. */
  readonly source?: string;
  readonly mode: number;
  /** `undefined` for whoever writes or unpacks it. */
  readonly owner: TarAccount | undefined;
  readonly group: TarAccount | undefined;
}

/** What is to be where on the host. */
export interface ExportPlan {
  /** The authority's directory. */
  readonly dir: string;
  readonly host: string;
  readonly layout: Layout;
  /** The directory on the host; `~` is the home of the user. */
  readonly place: string;
  /** Directories first, the outermost before the others. */
  readonly entries: readonly ExportEntry[];
  /** Files that the layout has and the host's set has not: the keys, if they never left the host. */
  readonly missing: readonly CredentialFileName[];
  /** Whether its keys need a passphrase. */
  readonly encrypted: boolean;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly expired: boolean;
}

/** Layouts whose servers are QEMU's own, which alone read Diffie-Hellman parameters. */
const DH_LAYOUTS: readonly string[] = ["qemu", "vnc", "chardev", "migrate", "backup"];

const DH_FILE = "dh-params.pem";

/**
 * Plans the export of a host's set. Nothing is changed, and the CA's key is not needed.
 *
 * @example Where libvirtd wants its key
 * ```ts
 * import { initAuthority, issueHost, planExport } from "@virtcreds/virtcreds/ca";
 * import { chooseEngine } from "@virtcreds/virtcreds/engine";
 * import { assertEquals } from "@std/assert";
 *
 * const dir = Deno.makeTempDirSync();
 * const engine = await chooseEngine();
 * await initAuthority({ dir, engine });
 * await issueHost({ dir, engine, host: "host-a" });
 * const { place, entries } = planExport({ dir, host: "host-a", layout: "libvirt" });
 * const key = entries.find((entry) => entry.source?.endsWith("/server-key.pem"))!;
 * assertEquals(`${place}/${key.path}`, "/etc/pki/libvirt/private/serverkey.pem");
 * Deno.removeSync(dir, { recursive: true });
 * ```
 *
 * @throws {CaError} `HOST_NAME`, `HOST_UNKNOWN`, `EXPORT` for a set that is damaged, revoked or
 * of no use to the layout's reader; `EXPORT_OPTION`, `ACCOUNT`, `CRL`.
 * @throws {BaseError} `USAGE` for a layout that there is not.
 */
export function planExport(options: ExportOptions): ExportPlan {
  const layout = findLayout(options.layout);
  const change = changesOf(options, layout);
  const now = (options.clock ?? systemClock)();
  const held = heldBy(options);
  const has = layout.files.filter(({ file }) => isThere(`${held.dir}/${file}`));
  const encrypted = hasEncryptedKey(held);
  refuseUseless(held, layout, has.map(({ file }) => file), encrypted);
  refuseHalf(options.dir, held, layout);
  const files = has.map((entry): ExportEntry => {
    const source = `${held.dir}/${entry.file}`;
    const data = readFileLimited(source);
    return { ...change(entry), source, data };
  });
  if (options.dhParams !== undefined) {
    const data = new TextEncoder().encode(dhParamsPem(options.dhParams));
    files.push({
      ...change({ path: DH_FILE, mode: 0o644, owner: "root", group: "root" }),
      data,
    });
  }
  const certificates = held.certificates.map((one) => one.certificate);
  const notAfter = new Date(Math.min(...certificates.map((one) => one.notAfter.getTime())));
  return {
    dir: pkiPaths(options.dir).root,
    host: held.host,
    layout,
    place: placeOf(options.place ?? layout.place),
    entries: [...layout.directories.map(change), ...files],
    missing: layout.files.map(({ file }) => file).filter((file) => !has.some(isFile(file))),
    encrypted,
    notBefore: new Date(Math.max(...certificates.map((one) => one.notBefore.getTime()))),
    notAfter,
    expired: notAfter < now,
  };
}

function isFile(name: CredentialFileName): (entry: { file: CredentialFileName }) => boolean {
  return ({ file }) => file === name;
}

/** What the user's flags make of an entry of the layout. */
function changesOf(
  options: ExportOptions,
  layout: Layout,
): (entry: LayoutEntry) => Omit<ExportEntry, "data" | "source"> {
  const { keyMode, dhParams } = options;
  const owner = options.owner === undefined ? undefined : parseAccount(options.owner, "--owner");
  const group = options.group === undefined ? undefined : parseAccount(options.group, "--group");
  if (dhParams !== undefined && !DH_LAYOUTS.includes(layout.name)) {
    throw new CaError("EXPORT_OPTION", {
      option: "--dh-params",
      cause: `${layout.reader} would not read ${DH_FILE}`,
      hint: `layouts whose servers read it: ${DH_LAYOUTS.join(", ")}`,
    });
  }
  const of = (account: Account) => account === "user" ? undefined : layoutAccount(account);
  return (entry) => ({
    path: entry.path,
    mode: keyMode !== undefined && /key\.pem$/.test(entry.path) ? keyMode : entry.mode,
    owner: owner ?? of(entry.owner),
    group: group ?? of(entry.group),
  });
}

function heldBy({ dir, host }: ExportOptions): HeldSet {
  const paths = pkiPaths(dir);
  const name = parseHostName(host).text;
  const held = readHeld(paths, name);
  const issue = `issue for it: deno task ca issue ${name} --dir ${shellWord(paths.root)}`;
  if (held === undefined) {
    throw new CaError("HOST_UNKNOWN", {
      value: name,
      file: `${paths.hosts}/${name}`,
      hint: issue,
    });
  }
  const refuse = (cause: string) => new CaError("EXPORT", { value: name, cause, hint: issue });
  if (held.damage !== undefined) throw refuse(held.damage);
  if (isRevoked(held, readRevoked(paths))) throw refuse("it is revoked");
  return held;
}

function hasEncryptedKey(held: HeldSet): boolean {
  return held.certificates.some(({ keyFile }) =>
    isThere(keyFile) && isEncrypted(readTextLimited(keyFile))
  );
}

/** Says now what the layout's reader would say, in the middle of something else, on the host. */
function refuseUseless(
  { host, certificates }: HeldSet,
  layout: Layout,
  has: readonly CredentialFileName[],
  encrypted: boolean,
): void {
  if (!has.some((file) => /^(server|client)-cert/.test(file))) {
    const roles = certificates.map(({ role }) => role).join(" and ");
    throw new CaError("EXPORT", {
      value: host,
      cause: `it was issued for as a ${roles} alone, which is of no use to ${layout.reader}`,
      hint: `issue for both: deno task ca issue ${host}`,
    });
  }
  if (encrypted && layout.judge === "libvirt") {
    throw new CaError("EXPORT", {
      value: host,
      cause: `its keys are encrypted, and ${layout.reader} take no passphrase`,
      hint: `issue without one: deno task ca issue ${host}`,
    });
  }
}

/** A key is missing rightly where the host made it, and asked for its certificate. */
function refuseHalf(dir: string, { host, dir: set }: HeldSet, { files }: Layout): void {
  const has = (name: string) => isThere(`${set}/${name}`);
  const isAsked = has(REQUEST_FILE);
  for (const { file } of files) {
    if (has(file) || file === "ca-crl.pem") continue;
    const other = file.replace(/-(cert|key)\.pem$/, (_, part) => `-${CROSS[part]}.pem`);
    if (file !== "ca-cert.pem" && (!has(other) || isAsked && file.endsWith("-key.pem"))) continue;
    throw new CaError("EXPORT", {
      value: host,
      cause: `${set}/${file} is missing`,
      hint: remakeHints(host, pkiPaths(dir).root),
    });
  }
}

const CROSS: Readonly<Record<string, string>> = { cert: "key", key: "cert" };

/** A directory on the host, which is no business of this machine. */
function placeOf(place: string): string {
  const parts = place.split("/").filter((part) => part !== "" && part !== ".");
  const isRelative = !/^(\/|~\/+[^/])/.test(place);
  if (isRelative || parts.includes("..") || parts.length === 0 || /\p{Cc}/u.test(place)) {
    throw new CaError("EXPORT_OPTION", {
      option: "--place",
      cause: isRelative
        ? "it starts neither at / nor at ~/, the home of the user"
        : "it is no directory of its own",
      hint: "name one such as --place /etc/pki/qemu",
    });
  }
  return place.startsWith("/") ? `/${parts.join("/")}` : parts.join("/");
}
