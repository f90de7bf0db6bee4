/**
 * Where the programs of a live system read credentials: the defaults of libvirt and QEMU, and what
 * `qemu.conf`, `libvirtd.conf` and `virtproxyd.conf` say instead.
 */

import type { Endpoint } from "../engine/mod.ts";
import { findConfFault, readLibvirtConf, type Settings } from "./_libvirt_conf.ts";
import type { Finding } from "./finding.ts";
import { findLayout, type Layout, type LayoutName } from "./layout.ts";
import { isDirectory, type PlacedLayout, placeLayout } from "./layout_place.ts";
import { LIBVIRT_PROFILES } from "./profiles.ts";
import { checkCredentials, type CheckOptions, noDirectory, type Verdict } from "./verdict.ts";

/** A place where programs of a system read credentials. */
export interface SystemPlace extends PlacedLayout {
  /** Who reads it and why, one sentence each. */
  readonly readers: readonly string[];
  /** The roles that its readers take it for; those whose files exist where it is empty. */
  readonly endpoints: readonly Endpoint[];
  /** Whether a reader looks at its peers. */
  readonly verifyPeer: boolean;
  /** libvirt's words, where a configuration names a directory that is not there. */
  readonly refused?: string;
  /** Where it is a configuration that the daemon cannot read: libvirt's words. */
  readonly fault?: string;
  /** Settings that name it, or a file of it, by a relative path. */
  readonly relative?: readonly string[];
}

/** A system to look at. */
export interface SystemOptions {
  /** `/` by default; the root of an image or a container otherwise. */
  readonly root?: string;
  /** Home of a user, below the root. */
  readonly home?: string;
}

interface Service {
  /** Prefix of its settings in `qemu.conf`. */
  readonly prefix: string;
  readonly layout: LayoutName;
  readonly place: string;
  readonly endpoint?: Endpoint;
  /** Whether it verifies its peers where no setting says so. */
  readonly verifies: boolean;
  /** Whether it uses TLS only if `PREFIX_tls` is set. */
  readonly isAsked: boolean;
}

const service = (
  prefix: string,
  layout: LayoutName,
  place: string,
  verifies: boolean,
  isAsked: boolean,
  endpoint?: Endpoint,
): Service => ({
  ...{ prefix, layout, place: `/etc/pki/${place}`, verifies, isAsked },
  ...(endpoint === undefined ? {} : { endpoint }),
});

/** The services of libvirt's QEMU driver; each has a default directory of its own. */
const SERVICES: readonly Service[] = [
  service("vnc", "vnc", "libvirt-vnc", false, true, "server"),
  service("spice", "spice", "libvirt-spice", false, true, "server"),
  service("rdp", "vnc", "libvirt-rdp", false, true, "server"),
  service("chardev", "chardev", "libvirt-chardev", true, true),
  service("migrate", "migrate", "libvirt-migrate", true, false),
  service("backup", "backup", "libvirt-backup", true, false, "server"),
  service("nbd", "nbd", "libvirt-nbd", true, true, "client"),
  service("vxhs", "nbd", "libvirt-vxhs", true, true, "client"),
];

/** Finds the places that a system has credentials in, or must have them in. */
export function findSystemPlaces(options: SystemOptions = {}): SystemPlace[] {
  const root = (options.root ?? "/").replace(/\/+$/, "");
  const at = { ...options, root };
  return [
    ...faultyConfigurations(at),
    ...daemonPlaces(at),
    ...userPlaces(at),
    ...qemuPlaces(at, readLibvirtConf(`${root}/etc/libvirt/qemu.conf`)),
  ];
}

/** Judges a place in all roles that its readers take it for. */
export async function checkSystemPlace(
  place: SystemPlace,
  options: CheckOptions,
): Promise<Verdict[]> {
  const { dir, refused, fault, endpoints, verifyPeer, relative = [] } = place;
  if (fault !== undefined) return damagedConf(dir, fault);
  if (refused !== undefined) {
    const endpoint = endpoints[0] ?? "server";
    return LIBVIRT_PROFILES.map(({ name }) => noDirectory(dir, endpoint, name, refused));
  }
  const settings = { ...options, placed: place, verifyPeer };
  const verdicts = await checkCredentials(dir, settings);
  for (const endpoint of endpoints) {
    if (verdicts.some((verdict) => verdict.endpoint === endpoint)) continue;
    verdicts.push(...await checkCredentials(dir, { ...settings, endpoint }));
  }
  if (relative.length === 0) return verdicts;
  const finding = relativeFinding(dir, relative);
  return verdicts.map((one) => ({ ...one, findings: [...one.findings, finding] }));
}

function damagedConf(file: string, message: string): Verdict[] {
  const finding: Finding = {
    code: "CONF_DAMAGED",
    severity: "error",
    file,
    message,
    cause: "the daemon does not start with it, and what it would read is not known",
    mend: "write NAME = VALUE on a line of its own, a text in quotation marks, or # before it",
  };
  const outcome = { ok: false, message, findings: [finding] };
  return LIBVIRT_PROFILES.map(({ name }) => ({
    ...{ dir: file, endpoint: "server" as const, qemu: name },
    ...outcome,
  }));
}

function relativeFinding(dir: string, settings: readonly string[]): Finding {
  return {
    code: "CONF_RELATIVE",
    severity: "warning",
    file: dir,
    message: "",
    cause: `${
      settings.join(", ")
    } has a relative path, which counts from wherever the program runs: from / for a daemon`,
    mend: `write the whole path in ${settings.join(", ")}`,
  };
}

/** What libvirt and QEMU, which run in the root directory, make of a path. */
function below(root: string, path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `${root}/${parts.join("/")}`;
}

function faultyConfigurations(at: At): SystemPlace[] {
  return ["qemu", "libvirtd", "virtproxyd"].flatMap((name): SystemPlace[] => {
    const dir = `${at.root}/etc/libvirt/${name}.conf`;
    const fault = findConfFault(dir);
    if (fault === undefined) return [];
    const placed = { ...placeLayout(findLayout("libvirt"), at), dir, paths: {} };
    const readers = [`the settings of ${name === "qemu" ? "libvirt's QEMU driver" : name}`];
    return [{ ...placed, readers, endpoints: [], verifyPeer: true, fault }];
  });
}

type At = SystemOptions & { readonly root: string };

/** libvirt's daemon and clients; settings name files, not directories. */
function daemonPlaces(at: At): SystemPlace[] {
  const layout = findLayout("libvirt");
  const placed = placeLayout(layout, at);
  return ["libvirtd", "virtproxyd"].flatMap((daemon): SystemPlace[] => {
    const conf = readLibvirtConf(`${at.root}/etc/libvirt/${daemon}.conf`);
    const paths = { ...placed.paths };
    const changed: string[] = [];
    const relative: string[] = [];
    for (const [setting, file] of FILE_SETTINGS) {
      const value = textOf(conf, setting);
      if (value === undefined) continue;
      changed.push(setting);
      if (!value.startsWith("/")) relative.push(setting);
      paths[file] = value.startsWith("/") ? `${at.root}${value}` : below(at.root, value);
    }
    const isDefault = changed.length === 0;
    // Both read the same files where neither says otherwise.
    if (daemon === "virtproxyd" && isDefault || !Object.values(paths).some(isThere)) return [];
    const because = isDefault ? "by default" : `with ${changed.join(", ")} of ${daemon}.conf`;
    const readers = [`${isDefault ? layout.reader : daemon}, ${because}`];
    const verifyPeer = conf.get("tls_no_verify_certificate") !== 1;
    return [{ ...placed, paths, readers, endpoints: [], verifyPeer, relative }];
  });
}

const FILE_SETTINGS = [
  ["ca_file", "ca-cert.pem"],
  ["crl_file", "ca-crl.pem"],
  ["cert_file", "server-cert.pem"],
  ["key_file", "server-key.pem"],
] as const;

/** A user's own files; authority and pair fall back to the system's, each for itself. */
function userPlaces(at: At): SystemPlace[] {
  if (at.home === undefined) return [];
  const system = placeLayout(findLayout("libvirt"), at).paths;
  const placed = placeLayout(findLayout("libvirt-user"), at);
  const paths = { ...placed.paths };
  const own = Object.values(paths).filter((path) => isThere(path));
  const reader = "virsh and libvirtd of a user, by default";
  const found: SystemPlace[] = [];
  if (own.length > 0) {
    if (!isThere(paths["ca-cert.pem"]!)) paths["ca-cert.pem"] = system["ca-cert.pem"]!;
    found.push({ ...placed, paths, readers: [reader], endpoints: [], verifyPeer: true });
  }
  const qemu: Layout = { ...findLayout("qemu"), place: "~/.pki/qemu" };
  const alone = placeLayout(qemu, at);
  if (isDirectory(alone.dir)) {
    const readers = ["QEMU that a user starts, by convention"];
    found.push({ ...alone, readers, endpoints: [], verifyPeer: true });
  }
  return found;
}

/** QEMU under libvirt: one place may serve several services. */
function qemuPlaces(at: At, conf: Settings): SystemPlace[] {
  const common = textOf(conf, "default_tls_x509_cert_dir");
  const commonPlace = common ?? "/etc/pki/qemu";
  const uses = SERVICES.flatMap((one): Use[] => {
    const setting = `${one.prefix}_tls_x509_cert_dir`;
    const named = textOf(conf, setting);
    const isOwn = named === undefined && isDirectory(`${at.root}${one.place}`);
    const place = named ?? (isOwn ? one.place : commonPlace);
    const why = named !== undefined ? setting : isOwn ? "its default" : "default_tls_x509_cert_dir";
    const isUsed = !one.isAsked || isSet(conf, `${one.prefix}_tls`);
    // A service that nobody asked for makes no place of its own.
    if (named === undefined && !isOwn && !isUsed) return [];
    const verifies = conf.get(`${one.prefix}_tls_x509_verify`) ??
      conf.get("default_tls_x509_verify");
    return [{
      place,
      layout: findLayout(named === undefined && !isOwn ? "qemu" : one.layout),
      reader: `QEMU's ${one.prefix}, by ${why}${isUsed ? "" : ` (${one.prefix}_tls is not set)`}`,
      endpoint: one.endpoint,
      verifies: verifies === undefined ? one.verifies : verifies === 1,
      setting: named === undefined ? undefined : setting,
    }];
  });
  if (common !== undefined || isDirectory(below(at.root, commonPlace))) {
    const setting = common === undefined ? undefined : "default_tls_x509_cert_dir";
    const reader = `QEMU, by ${setting ?? "default and convention"}`;
    uses.unshift({ ...{ place: commonPlace, reader, setting }, ...COMMON_USE });
  }
  return [...Map.groupBy(uses, ({ place }) => place)].flatMap(([place, same]): SystemPlace[] => {
    const { layout } = same[0]!;
    const isRelative = !place.startsWith("/");
    const path = isRelative ? below("", place) : place;
    const placed = placeLayout({ ...layout, place: path }, at);
    const named = same.find(({ setting }) => setting !== undefined)?.setting;
    const isMissing = !isDirectory(placed.dir);
    if (isMissing && named === undefined) return [];
    return [{
      ...placed,
      readers: same.map(({ reader }) => reader),
      endpoints: [...new Set(same.flatMap(({ endpoint }) => endpoint ?? []))],
      verifyPeer: same.some(({ verifies }) => verifies),
      ...(isRelative && named !== undefined ? { relative: [named] } : {}),
      ...(isMissing ? { refused: `${named} directory '${place}' does not exist` } : {}),
    }];
  });
}

interface Use {
  readonly place: string;
  readonly layout: Layout;
  readonly reader: string;
  readonly endpoint: Endpoint | undefined;
  readonly verifies: boolean;
  readonly setting: string | undefined;
}

const COMMON_USE = { layout: findLayout("qemu"), endpoint: undefined, verifies: true } as const;

function textOf(conf: Settings, name: string): string | undefined {
  const value = conf.get(name);
  return typeof value === "string" && value !== "" ? value : undefined;
}

function isSet(conf: Settings, name: string): boolean {
  return conf.get(name) === 1;
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}
