/** Owners and groups of exported files, by name or number. */

import { fileError, readTextLimited } from "../base/mod.ts";
import type { Account } from "../creds/mod.ts";
import { CaError } from "./error.ts";
import type { TarAccount } from "./tar.ts";

/** The flag that an account came from. */
export type AccountOption = "--owner" | "--group";

/**
 * The accounts of a layout. QEMU's is called `qemu` on Fedora, RHEL and SUSE; where there is none
 * of that name, Debian's and Ubuntu's number of `libvirt-qemu`, which is fixed there, is the right one.
 */
const ACCOUNTS: Readonly<Record<Account, TarAccount>> = {
  root: { name: "root", id: 0 },
  qemu: { name: "qemu", id: 64_055 },
  user: { name: "", id: 0 },
};

/** An account of a layout as an archive has it. */
export function layoutAccount(account: Account): TarAccount {
  return ACCOUNTS[account];
}

/**
 * Reads an account that the user names. One by name has the number of root, so that nobody else
 * owns it where that name is not known.
 *
 * @throws {CaError} `ACCOUNT`.
 */
export function parseAccount(text: string, option: AccountOption): TarAccount {
  if (/^\d{1,7}$/.test(text) && Number(text) <= LARGEST_ID) return { name: "", id: Number(text) };
  if (/^[A-Za-z_][A-Za-z0-9_.-]{0,30}\$?$/.test(text)) return { name: text, id: 0 };
  throw new CaError("ACCOUNT", {
    option,
    value: text,
    cause: "it is neither a name nor a number that an account can have",
    hint: `name one as in ${option} libvirt-qemu or ${option} 64055`,
  });
}

/** The largest number that an archive has room for: seven octal digits. */
const LARGEST_ID = 0o7777777;

/**
 * The number of an account on this machine.
 *
 * @returns `undefined` if it is known by name alone, and no such name is.
 */
export function localId({ name, id }: TarAccount, option: AccountOption): number | undefined {
  if (name === "") return id;
  const ids = readIds(option === "--owner" ? "/etc/passwd" : "/etc/group");
  const known = ids.get(name);
  if (known !== undefined || id === 0) return known;
  return [...ids.values()].includes(id) ? id : undefined;
}

/** An account of this machine by its number; without a name where it has none here. */
export function localAccount(id: number, option: AccountOption): TarAccount {
  const rows = readIds(option === "--owner" ? "/etc/passwd" : "/etc/group");
  return { name: [...rows].find(([, number]) => number === id)?.[0] ?? "", id };
}

function readIds(file: string): ReadonlyMap<string, number> {
  try {
    const rows = readTextLimited(file).split("\n").map((row) => row.split(":"));
    return new Map(rows.map(([name = "", , id]) => [name, Number(id)]));
  } catch (error) {
    throw fileError(error, file, "read");
  }
}
