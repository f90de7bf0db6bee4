/** Whether files and folders of a layout have the modes and owners that its reader wants. */

import type { Beside } from "./_look.ts";
import { quote } from "./_mend.ts";
import type { Finding } from "./finding.ts";
import type { LayoutEntry } from "./layout.ts";
import { type AccountIds, entryPath, type PlacedLayout } from "./layout_place.ts";

/** Looks at the files of an endpoint and at all folders. */
export function* layoutEntries({ inspection, options }: Beside): Iterable<Finding> {
  const { placed } = options;
  if (placed === undefined) return;
  const { caCert, caCrl, identity } = inspection;
  const paths = [caCert, caCrl, identity.cert, identity.key].map((file) => file?.path);
  const { layout } = placed;
  const entries = [
    ...layout.directories,
    ...layout.files.filter((entry) => paths.includes(entryPath(placed, entry))),
  ];
  for (const entry of entries) {
    const path = entryPath(placed, entry);
    const info = look(path);
    if (info === undefined) continue;
    yield* layout.judge === "libvirt"
      ? exact(path, entry, info, placed)
      : reachable(path, entry, info, placed);
  }
}

function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}

const octal = (mode: number): string => mode.toString(8).padStart(4, "0");

/** `virt-pki-validate` from libvirt 10.5 on wants modes and owners to be these and no others. */
function* exact(
  path: string,
  { mode: wanted, owner }: LayoutEntry,
  { mode, uid, gid }: Deno.FileInfo,
  { layout, accounts }: PlacedLayout,
): Iterable<Finding> {
  const say = (code: string, cause: string, mend: string): Finding => {
    return { code, severity: "warning", file: path, message: "", cause, mend };
  };
  if (mode !== null && (mode & 0o777) !== wanted) {
    const cause = `its mode is ${octal(mode & 0o777)}; the layout ${layout.name} has ${
      octal(wanted)
    }, and virt-pki-validate wants no other`;
    yield say("LAYOUT_MODE", cause, `chmod ${octal(wanted)} ${quote(path)}`);
  }
  const account = accounts[owner];
  if (account === undefined || uid === null) return;
  if (uid === account.uid && (gid === null || gid === account.gids[0])) return;
  const group = account.uid === 0 ? "root" : "";
  const cause =
    `it belongs to ${uid}:${gid}; the layout ${layout.name} has it belong to ${account.name}`;
  yield say("LAYOUT_OWNER", cause, `chown ${account.name}:${group} ${quote(path)}`);
}

/** QEMU's names may have any owner that lets QEMU read them, and nobody else the key. */
function* reachable(
  path: string,
  entry: LayoutEntry,
  info: Deno.FileInfo,
  { layout, accounts: { qemu } }: PlacedLayout,
): Iterable<Finding> {
  if (layout.name === "cloud-hypervisor" || qemu === undefined || info.mode === null) return;
  const wanted = info.isDirectory ? 0o1 : 0o4;
  if (mayUse(qemu, info, wanted)) return;
  yield {
    code: "LAYOUT_UNREADABLE",
    severity: "error",
    file: path,
    message: "",
    cause: `the account that QEMU runs as (${qemu.name}) may not ${
      info.isDirectory ? "enter" : "read"
    } it: ${info.uid}:${info.gid}, mode ${octal(info.mode & 0o777)}`,
    mend: `chown root:${qemu.name} ${quote(path)} && chmod ${octal(entry.mode)} ${quote(path)}`,
  };
}

function mayUse({ uid, gids }: AccountIds, info: Deno.FileInfo, bit: number): boolean {
  const mode = info.mode!;
  if (info.uid === uid) return (mode >> 6 & bit) !== 0;
  return ((gids.includes(info.gid ?? -1) ? mode >> 3 : mode) & bit) !== 0;
}
