/** A layout at a place of this machine, or of another's root. */

import type { Account, CredentialFileName, Layout, LayoutEntry } from "./layout.ts";

/** A layout whose files have paths. */
export interface PlacedLayout {
  readonly layout: Layout;
  /** What its paths begin with. */
  readonly dir: string;
  /** By QEMU's names; a file without a path is one that nobody reads. */
  readonly paths: Readonly<Partial<Record<CredentialFileName, string>>>;
  /** The accounts of the system that it is for. */
  readonly accounts: Accounts;
}

/** The numbers that a system knows accounts by; one that it has not is `undefined`. */
export type Accounts = Readonly<Record<Account, AccountIds | undefined>>;

/** Who an account is to the kernel. */
export interface AccountIds {
  readonly name: string;
  readonly uid: number;
  /** Its own group first. */
  readonly gids: readonly number[];
}

/** Where to look for a layout. */
export interface PlaceOptions {
  /** In its place, or the root of an image that has it in its place; its own place by default. */
  readonly dir?: string;
  /** Root of the system that its place and its accounts are of; `/` by default. */
  readonly root?: string;
  /** Home of the user, below `root`. */
  readonly home?: string;
}

/** Puts a layout in its place, or where the options say. */
export function placeLayout(layout: Layout, options: PlaceOptions = {}): PlacedLayout {
  const root = (options.root ?? "/").replace(/\/+$/, "");
  const place = layout.place.replace(/^~/, options.home ?? "/root");
  const dir = options.dir === undefined ? `${root}${place}` : within(options.dir, layout.place);
  return {
    layout,
    dir,
    paths: Object.fromEntries(layout.files.map(({ file, path }) => [file, `${dir}/${path}`])),
    accounts: readAccounts(root, options.home),
  };
}

/** What an export wrote for another machine lies in that as it will lie there. */
function within(dir: string, place: string): string {
  const base = dir.replace(/(?<=.)\/+$/, "");
  const inner = `${base === "/" ? "" : base}/${place.replace(/^[~/]*/, "")}`;
  return isDirectory(inner) ? inner : base;
}

/** The path of an entry in a place. */
export function entryPath({ dir }: PlacedLayout, { path }: LayoutEntry): string {
  return path === "" ? dir : `${dir}/${path}`;
}

/** What distributions call the account that libvirt has QEMU run as. */
const QEMU_ACCOUNTS = ["qemu", "libvirt-qemu"];

function readAccounts(root: string, home: string | undefined): Accounts {
  const users = readTable(`${root}/etc/passwd`);
  const groups = readTable(`${root}/etc/group`);
  const find = (name: string | undefined): AccountIds | undefined => {
    const user = users.find((fields) => fields[0] === name);
    if (name === undefined || user === undefined) return undefined;
    const more = groups.filter((fields) => fields[3]?.split(",").includes(name));
    return {
      name,
      uid: Number(user[2]),
      gids: [user, ...more].map((f) => Number(f[f === user ? 3 : 2])),
    };
  };
  const owner = users.find((fields) => home !== undefined && fields[5] === home)?.[0];
  return {
    root: { name: "root", uid: 0, gids: [0] },
    qemu: find(QEMU_ACCOUNTS.find((name) => users.some((fields) => fields[0] === name))),
    user: find(owner),
  };
}

function readTable(file: string): string[][] {
  try {
    return Deno.readTextFileSync(file).split("\n").map((line) => line.split(":"));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return [];
  }
}

/** Whether a path is a directory; what cannot be looked at is none. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}
