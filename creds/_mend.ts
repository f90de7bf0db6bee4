/** Commands that mend what was found. */

import { shellWord as quote } from "../base/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import type { Inspection } from "./_inspect.ts";
import { isHostName } from "./_validate_names.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import { certificateNames } from "./hostname.ts";
import type { PlacedLayout } from "./layout_place.ts";
import { formatIpAddress, parseIpAddress } from "./ip.ts";

export { quote };

/** What a command is made for. */
export interface MendContext {
  readonly dir: string;
  readonly endpoint: Endpoint;
  /** The certificate that the directory has now. */
  readonly leaf: Certificate | undefined;
  /** Where the authority's certificate has to be. */
  readonly caFile: string;
  /** The layout that the files are of, where they lie as an export would lay them. */
  readonly placed?: PlacedLayout;
}

/** What commands for an endpoint are made for; its other role may say whose the files are. */
export function mendContext(
  { dir, endpoint, identity, otherLeaf, caCert, placed }: Inspection,
): MendContext {
  const leaves = [identity.leaf?.ok ? identity.leaf.value : undefined, otherLeaf];
  const leaf = leaves.find((leaf) => leaf !== undefined && !isStray(leaf, dir));
  const isExport = placed !== undefined &&
    placed.layout.files.every(({ file, path }) => placed.paths[file] === `${placed.dir}/${path}`);
  return { dir, endpoint, leaf, caFile: caCert.path, ...(isExport ? { placed } : {}) };
}

/** What commands are made for on the side of a peer, of which its certificate alone is known. */
export function peerContext(leaf: Certificate | undefined): MendContext {
  return { dir: "", endpoint: "server", leaf, caFile: "" };
}

/** Whether a certificate is of another host than its place: its names are not this host's. */
function isStray(leaf: Certificate, dir: string): boolean {
  const host = LAYOUT.exec(dir)?.[2];
  return host !== undefined && isHostName(host) &&
    ![...certificateNames(leaf), ...commonNames(leaf)].includes(host);
}

function commonNames({ subject }: Certificate): string[] {
  return attributeValues(subject, OID.commonName);
}

/** Where `ca issue` lays the files of a host. */
const LAYOUT = /^(?:(.*)\/)?hosts\/([^/]+)\/?$/;

/** What is made in the authority's directory has to come to where the program reads it. */
function andExport(context: MendContext, pki?: string): string {
  const { placed } = context;
  if (placed === undefined) return "";
  const from = pki === undefined ? pkiFlag(context) : ` --dir ${pki}`;
  return ` && deno task ca export ${quote(placeOf(context).host)}${from}` +
    ` --layout ${placed.layout.name} --out ${quote(placed.dir)}`;
}

/**
 * Issues the directory's certificates anew, for all the names that they have.
 *
 * @param more Further flags, with a blank before each.
 */
export function reissue(context: MendContext, more = ""): string {
  const { host } = placeOf(context);
  const flags = (context.leaf === undefined ? [] : certificateNames(context.leaf))
    .filter((name) => name !== host)
    .map((name) => ` --${parseIpAddress(name) === undefined ? "dns" : "ip"} ${quote(name)}`);
  return `deno task ca issue ${quote(host)}${pkiFlag(context)}${flags.join("")}${more}` +
    andExport(context);
}

/** Issues them again as they are, for another span of time. */
export function renew(context: MendContext): string {
  const { host } = placeOf(context);
  return `deno task ca renew ${quote(host)}${pkiFlag(context)}${andExport(context)}`;
}

/** Publishes the authority's list anew, to every host. */
export function publishCrl(context: MendContext): string {
  return `deno task ca crl${pkiFlag(context)}${andExport(context)}`;
}

function pkiFlag(context: MendContext): string {
  const { pki } = placeOf(context);
  return pki === undefined ? "" : ` --dir ${quote(pki)}`;
}

/** Issues them anew for one more name. */
export function reissueFor(context: MendContext, flag: "dns" | "ip", name: string): string {
  return reissue(context, ` --${flag} ${quote(name)}`);
}

/** Puts the authority's certificate in its place. */
export function copyAuthority(context: MendContext): string {
  const { pki } = placeOf(context);
  return `cp ${quote(`${pki ?? "pki"}/ca-cert.pem`)} ${quote(context.caFile)}`;
}

/** A new certificate for the authority's key, and new ones for all of its hosts. */
export function renewAuthority(context: MendContext): string {
  return `deno task ca renew --all --ca${pkiFlag(context)}${andExport(context)}`;
}

/** A new authority, where its certificate must not only end later. */
export function newAuthority(context: MendContext): string {
  const { host } = placeOf(context);
  return `deno task ca init --dir pki-new && deno task ca issue ${quote(host)} --dir pki-new` +
    andExport(context, "pki-new");
}

/** The host by the layout of `ca issue` (`PKI/hosts/HOST`), else by its certificate. */
function placeOf({ dir, leaf }: MendContext): { readonly host: string; readonly pki?: string } {
  const layout = LAYOUT.exec(dir);
  const names = layout === null ? [] : [layout[2]!];
  if (leaf !== undefined) {
    const { dns = [], ip = [] } = leaf.subjectAltName ?? {};
    names.push(...commonNames(leaf), ...dns, ...ip.map(formatIpAddress));
  }
  // A directory may be called anything, and a common name may be a sentence.
  const host = names.find((name) => isHostName(name) || parseIpAddress(name) !== undefined);
  return { host: host ?? "HOST", ...(layout === null ? {} : { pki: layout[1] ?? "." }) };
}
