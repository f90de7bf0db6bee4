/** An export written into a directory of this machine, each file replaced in one step. */

import { createFile, fileError, syncDirectory } from "../base/mod.ts";
import { CREDENTIAL_FILES } from "../creds/mod.ts";
import { type AccountOption, localAccount, localId } from "./account.ts";
import { CaError } from "./error.ts";
import type { ExportEntry, ExportPlan } from "./export.ts";
import { isOwnDirectory, isThere, leadsInto, removeAll, rename } from "./pki.ts";
import type { TarAccount } from "./tar.ts";

/** What was written. */
export interface ExportWritten {
  /** Paths of the files, in the layout's order. */
  readonly files: readonly string[];
  /** What was planned, with the modes and owners that it has now. */
  readonly entries: readonly ExportEntry[];
  /** Entries that keep the owner or group that they were made with, and why. */
  readonly unowned: "" | "not root" | "unknown";
  /** Directories that were there and have another mode than the layout wants. */
  readonly modes: readonly {
    readonly path: string;
    readonly has: number;
    readonly wants: number;
  }[];
  /** Files of an earlier export that this one does not replace. */
  readonly stale: readonly string[];
}

/**
 * Writes an export below a directory, which stands for the layout's place. All files are made and
 * synced beside their places first, then renamed: whoever looks meanwhile finds old files or new
 * ones, and after a failure before the renames all of them are the old ones.
 *
 * As root the layout's owners are set; otherwise only those that the user asked for.
 *
 * @param asked What the user named, which therefore has to be set.
 * @throws {CaError} `EXPORT_OPTION` for a place in the authority's own directory,
 * `NOT_A_DIRECTORY`, `ACCOUNT`.
 * @throws {BaseError} `FILE_NOT_WRITABLE`.
 */
export function writeExport(
  plan: ExportPlan,
  out: string,
  asked: readonly AccountOption[] = [],
): ExportWritten {
  const root = out.length > 1 ? out.replace(/\/+$/, "") || "/" : out;
  const at = (path: string) => path === "" ? root : root === "/" ? `/${path}` : `${root}/${path}`;
  refuseInside(plan, at);
  const owners = ownersOf(plan.entries, asked);
  const modes: { path: string; has: number; wants: number }[] = [];
  const files = plan.entries.filter(isFile);
  for (const entry of plan.entries) {
    if (isFile(entry)) continue;
    const path = at(entry.path);
    const has = makeDirectory(path, entry, owners, entry.path === "");
    if (has !== entry.mode) modes.push({ path, has, wants: entry.mode });
  }
  const folders = [...new Set(files.map(({ path }) => at(path).replace(/\/[^/]*$/, "") || "/"))];
  const staged = new Map(files.map((entry) => [stagedPath(at(entry.path)), entry]));
  using _lock = lockDirectory(root);
  try {
    for (const [path, entry] of staged) {
      removeAll(path);
      createFile(path, entry.data, entry.mode);
      own(path, entry, owners);
    }
    for (const folder of folders) syncDirectory(folder);
    for (const [path, entry] of staged) rename(path, at(entry.path));
    for (const folder of folders) syncDirectory(folder);
  } finally {
    for (const path of staged.keys()) removeAll(path);
  }
  const written = files.map(({ path }) => at(path));
  return {
    files: written,
    entries: plan.entries.map((entry) => asItIs(entry, at(entry.path))),
    unowned: owners.unowned,
    modes,
    stale: staleIn(plan, at, written),
  };
}

/** There are the CA's own certificate and the set that the host is renewed from. */
function refuseInside({ dir, entries }: ExportPlan, at: (path: string) => string): void {
  for (const entry of entries) {
    if (isFile(entry) || !leadsInto(dir, at(entry.path))) continue;
    throw new CaError("EXPORT_OPTION", {
      option: "--out",
      cause: `${at(entry.path)} lies in the CA's own directory, ${dir}`,
      hint: "name a directory outside of it, such as --out exported",
    });
  }
}

type FileEntry = ExportEntry & Required<Pick<ExportEntry, "data">>;

function isFile(entry: ExportEntry): entry is FileEntry {
  return entry.data !== undefined;
}

/** Beside its place, under a name that the next export removes if this one is killed. */
function stagedPath(path: string): string {
  return path.replace(/[^/]*$/, (name) => `.${name}.new`);
}

/** One export at a time; the system gives the lock back in any case. */
function lockDirectory(path: string): Disposable {
  const handle = Deno.openSync(path, { read: true });
  try {
    handle.lockSync(true);
    return handle;
  } catch (error) {
    handle.close();
    throw fileError(error, path, "write");
  }
}

/** The numbers of owners on this machine; `undefined` for what is left as it is. */
interface Owners {
  readonly unowned: ExportWritten["unowned"];
  id(account: TarAccount | undefined, option: AccountOption): number | undefined;
}

function ownersOf(entries: readonly ExportEntry[], asked: readonly AccountOption[]): Owners {
  const isRoot = Deno.build.os !== "windows" && Deno.uid() === 0;
  const known = new Map<string, number | undefined>();
  let unowned: ExportWritten["unowned"] = "";
  for (const entry of entries) {
    for (const [option, account] of [["--owner", entry.owner], ["--group", entry.group]] as const) {
      if (account === undefined) continue;
      const isAsked = asked.includes(option);
      const id = isRoot || isAsked ? localId(account, option) : undefined;
      if (id === undefined && isAsked) throw unknownAccount(account, option);
      if (id === undefined) unowned = isRoot ? "unknown" : "not root";
      known.set(option + account.name + account.id, id);
    }
  }
  return {
    unowned,
    id: (account, option) => account && known.get(option + account.name + account.id),
  };
}

function unknownAccount({ name }: TarAccount, option: AccountOption): CaError {
  const file = option === "--owner" ? "/etc/passwd" : "/etc/group";
  return new CaError("ACCOUNT", {
    option,
    value: name,
    cause: `${file} of this machine does not have it`,
    hint: `give its number: getent ${option === "--owner" ? "passwd" : "group"} ${name}`,
  });
}

function own(path: string, { owner, group }: ExportEntry, owners: Owners): void {
  const [uid, gid] = [owners.id(owner, "--owner"), owners.id(group, "--group")];
  if (uid === undefined && gid === undefined) return;
  try {
    Deno.chownSync(path, uid ?? null, gid ?? null);
  } catch (error) {
    throw fileError(error, path, "write");
  }
}

function asItIs(entry: ExportEntry, path: string): ExportEntry {
  const { mode, uid, gid } = Deno.statSync(path);
  if (mode === null || uid === null || gid === null) return entry;
  return {
    ...entry,
    mode: mode & 0o7777,
    owner: localAccount(uid, "--owner"),
    group: localAccount(gid, "--group"),
  };
}

/** Makes a directory unless it is there; what others made keeps its mode. */
function makeDirectory(path: string, entry: ExportEntry, owners: Owners, isPlace: boolean): number {
  // The place may be reached by a link, which is the user's own choice of one.
  if (isPlace ? isDirectory(path) : isOwnDirectory(path)) {
    return Deno.statSync(path).mode! & 0o7777;
  }
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
    Deno.chmodSync(path, entry.mode);
  } catch (error) {
    throw fileError(error, path, "write");
  }
  own(path, entry, owners);
  return entry.mode;
}

function isDirectory(path: string): boolean {
  try {
    if (Deno.statSync(path).isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw fileError(error, path, "write");
  }
  throw new CaError("NOT_A_DIRECTORY", {
    file: path,
    cause: "a file",
    hint: "choose another one with --out",
  });
}

/** What QEMU or libvirt would read beside the new files. */
function staleIn(
  { layout }: ExportPlan,
  at: (path: string) => string,
  written: readonly string[],
): string[] {
  const names = new Set([
    ...layout.files.map(({ path }) => path),
    // In a directory with QEMU's names it reads whatever has one.
    ...(layout.judge === "qemu" ? [...CREDENTIAL_FILES, "dh-params.pem"] : []),
  ]);
  return [...names].map(at).filter((path) => !written.includes(path) && isThere(path));
}
