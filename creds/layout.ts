/**
 * How programs want a host's credentials to lie: the names, modes and owners of their files, and
 * where they look when nobody says where (libvirt's `remote/daemon` and `qemu.conf` documentation).
 */

import { BaseError } from "../base/mod.ts";

/** The files of a host by QEMU's names, which `ca issue` gives them. */
export const CREDENTIAL_FILES = [
  "ca-cert.pem",
  "ca-crl.pem",
  "server-cert.pem",
  "server-key.pem",
  "client-cert.pem",
  "client-key.pem",
] as const;

/** One of {@linkcode CREDENTIAL_FILES}. */
export type CredentialFileName = typeof CREDENTIAL_FILES[number];

/**
 * Who something belongs to: `root`; `qemu`, the account that libvirt runs QEMU as (`qemu`,
 * `libvirt-qemu`, …); or `user`, whoever starts the program.
 */
export type Account = "root" | "qemu" | "user";

/** What a file or directory of a layout must be like. */
export interface LayoutEntry {
  /** From the layout's place; empty for the place itself. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  readonly owner: Account;
  readonly group: Account;
}

/** A file of a layout, and which of a host's files it is. */
export interface LayoutFile extends LayoutEntry {
  readonly file: CredentialFileName;
}

/** A way in which a program wants the files to lie. */
export interface Layout {
  readonly name: LayoutName;
  /** For people: who reads it. */
  readonly reader: string;
  /** Where it lies when nobody says where; `~` is the home of the user. */
  readonly place: string;
  /** Whose checks the files must pass: libvirt has its own for what it reads itself. */
  readonly judge: "qemu" | "libvirt";
  /** Outermost first. */
  readonly directories: readonly LayoutEntry[];
  readonly files: readonly LayoutFile[];
}

/** The layouts by name. */
export const LAYOUT_NAMES = [
  "qemu",
  "libvirt",
  "libvirt-user",
  "vnc",
  "spice",
  "chardev",
  "migrate",
  "backup",
  "nbd",
  "cloud-hypervisor",
] as const;

/** One of {@linkcode LAYOUT_NAMES}. */
export type LayoutName = typeof LAYOUT_NAMES[number];

const SERVER: readonly CredentialFileName[] = ["server-cert.pem", "server-key.pem"];
const CLIENT: readonly CredentialFileName[] = ["client-cert.pem", "client-key.pem"];

/** All layouts. */
export const LAYOUTS: readonly Layout[] = [
  ofQemu("qemu", "QEMU, and libvirt's QEMU where no service has a directory", "/etc/pki/qemu"),
  {
    name: "libvirt",
    reader: "libvirtd, virtproxyd and virsh",
    place: "/etc/pki",
    judge: "libvirt",
    directories: ["", "CA", "libvirt", "libvirt/private"].map((path) => root(path, 0o755)),
    files: [
      { file: "ca-cert.pem", ...root("CA/cacert.pem", 0o644) },
      { file: "ca-crl.pem", ...root("CA/cacrl.pem", 0o644) },
      { file: "server-cert.pem", ...root("libvirt/servercert.pem", 0o644) },
      { file: "server-key.pem", ...root("libvirt/private/serverkey.pem", 0o600) },
      { file: "client-cert.pem", ...root("libvirt/clientcert.pem", 0o644) },
      // Every user's virsh reads it.
      { file: "client-key.pem", ...root("libvirt/private/clientkey.pem", 0o644) },
    ],
  },
  {
    name: "libvirt-user",
    reader: "virsh and libvirtd of a user, and pkipath= of a URI",
    place: "~/.pki/libvirt",
    judge: "libvirt",
    directories: [user("", 0o700)],
    files: CREDENTIAL_FILES.map((file) => ({ file, ...user(file.replace("-", ""), 0o600) })),
  },
  ofQemu("vnc", "QEMU's VNC server under libvirt", "/etc/pki/libvirt-vnc", SERVER),
  {
    ...ofQemu("spice", "QEMU's SPICE server", "/etc/pki/libvirt-spice", SERVER),
    files: [trust("ca-cert.pem"), ...SERVER.map(own)],
  },
  ofQemu("chardev", "QEMU's character devices under libvirt", "/etc/pki/libvirt-chardev"),
  ofQemu("migrate", "QEMU's migration under libvirt", "/etc/pki/libvirt-migrate"),
  ofQemu("backup", "QEMU's backup server under libvirt", "/etc/pki/libvirt-backup", SERVER),
  ofQemu("nbd", "QEMU's NBD disks under libvirt", "/etc/pki/libvirt-nbd", CLIENT),
  {
    ...ofQemu("cloud-hypervisor", "Cloud Hypervisor's live migration", "/etc/pki/cloud-hypervisor"),
    directories: [user("", 0o700)],
    files: CREDENTIAL_FILES.map((file) => ({
      file,
      ...user(file, file.endsWith("-key.pem") ? 0o600 : 0o644),
    })),
  },
];

/**
 * Finds a layout.
 *
 * @example Where libvirtd has its key
 * ```ts
 * import { findLayout } from "@virtcreds/virtcreds/creds";
 * import { assertEquals } from "@std/assert";
 *
 * const { place, files } = findLayout("libvirt");
 * const key = files.find(({ file }) => file === "server-key.pem")!;
 * assertEquals(`${place}/${key.path}`, "/etc/pki/libvirt/private/serverkey.pem");
 * ```
 *
 * @throws {BaseError} `USAGE` if there is none of that name.
 */
export function findLayout(name: string): Layout {
  const layout = LAYOUTS.find((one) => one.name === name);
  if (layout !== undefined) return layout;
  throw new BaseError("USAGE", {
    text: `unknown layout '${name}'`,
    hint: `one of: ${LAYOUT_NAMES.join(", ")}`,
  });
}

/** QEMU's names in one directory that QEMU's account may read and nobody else. */
function ofQemu(
  name: LayoutName,
  reader: string,
  place: string,
  identities: readonly CredentialFileName[] = [...SERVER, ...CLIENT],
): Layout {
  const isServer = identities.includes("server-cert.pem");
  return {
    name,
    reader,
    place,
    judge: "qemu",
    directories: [{ path: "", mode: 0o750, owner: "root", group: "qemu" }],
    files: [
      trust("ca-cert.pem"),
      ...(isServer ? [trust("ca-crl.pem")] : []),
      ...identities.map(own),
    ],
  };
}

function trust(file: CredentialFileName): LayoutFile {
  return { file, path: file, mode: 0o644, owner: "root", group: "root" };
}

function own(file: CredentialFileName): LayoutFile {
  return file.endsWith("-key.pem")
    ? { file, path: file, mode: 0o640, owner: "root", group: "qemu" }
    : trust(file);
}

function root(path: string, mode: number): LayoutEntry {
  return { path, mode, owner: "root", group: "root" };
}

function user(path: string, mode: number): LayoutEntry {
  return { path, mode, owner: "user", group: "user" };
}
