/** Commands that mend what was found. */

import { shellWord as quote } from "../base/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import type { Inspection } from "./_inspect.ts";
import { isHostName } from "./_validate_names.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import { certificateNames } from "./hostname.ts";
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
}

/** What commands for an endpoint are made for; its other role may say whose the files are. */
export function mendContext(
  { dir, endpoint, identity, otherLeaf, caCert }: Inspection,
): MendContext {
  const leaf = identity.leaf?.ok ? identity.leaf.value : otherLeaf;
  return { dir, endpoint, leaf, caFile: caCert.path };
}

/** Issues the directory's certificates anew, for all the names that they have. */
export function reissue(context: MendContext): string {
  const { host } = placeOf(context);
  const flags = (context.leaf === undefined ? [] : certificateNames(context.leaf))
    .filter((name) => name !== host)
    .map((name) => ` --${parseIpAddress(name) === undefined ? "dns" : "ip"} ${quote(name)}`);
  return `deno task ca issue ${quote(host)}${pkiFlag(context)}${flags.join("")}`;
}

/** Issues them again as they are, for another span of time. */
export function renew(context: MendContext): string {
  return `deno task ca renew ${quote(placeOf(context).host)}${pkiFlag(context)}`;
}

/** Publishes the authority's list anew, to every host. */
export function publishCrl(context: MendContext): string {
  return `deno task ca crl${pkiFlag(context)}`;
}

function pkiFlag(context: MendContext): string {
  const { pki } = placeOf(context);
  return pki === undefined ? "" : ` --dir ${quote(pki)}`;
}

/** Issues them anew for one more name. */
export function reissueFor(context: MendContext, flag: "dns" | "ip", name: string): string {
  return `${reissue(context)} --${flag} ${quote(name)}`;
}

/** Puts the authority's certificate in its place. */
export function copyAuthority(context: MendContext): string {
  const { pki } = placeOf(context);
  return `cp ${quote(`${pki ?? "pki"}/ca-cert.pem`)} ${quote(context.caFile)}`;
}

/** A new certificate for the authority's key, and new ones for all of its hosts. */
export function renewAuthority(context: MendContext): string {
  return `deno task ca renew --all --ca${pkiFlag(context)}`;
}

/** A new authority, where its certificate must not only end later. */
export function newAuthority(context: MendContext): string {
  const { host } = placeOf(context);
  return `deno task ca init --dir pki-new && deno task ca issue ${quote(host)} --dir pki-new`;
}

/** The host by the layout of `ca issue` (`PKI/hosts/HOST`), else by its certificate. */
function placeOf({ dir, leaf }: MendContext): { readonly host: string; readonly pki?: string } {
  const layout = /^(?:(.*)\/)?hosts\/([^/]+)\/?$/.exec(dir);
  const names = layout === null ? [] : [layout[2]!];
  if (leaf !== undefined) {
    const { dns = [], ip = [] } = leaf.subjectAltName ?? {};
    const common = attributeValues(leaf.subject, OID.commonName);
    names.push(...dns, ...common, ...ip.map(formatIpAddress));
  }
  // A directory may be called anything, and a common name may be a sentence.
  const host = names.find((name) => isHostName(name) || parseIpAddress(name) !== undefined);
  return { host: host ?? "HOST", ...(layout === null ? {} : { pki: layout[1] ?? "." }) };
}
