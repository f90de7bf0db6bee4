/** Commands that mend what was found. */

import { shellWord as quote } from "../base/mod.ts";
import type { Endpoint } from "../engine/mod.ts";
import type { Certificate } from "./certificate.ts";
import { attributeValues } from "./dn.ts";
import { OID } from "./extensions.ts";
import { certificateNames } from "./hostname.ts";
import { parseIpAddress } from "./ip.ts";

export { quote };

/** What a command is made for. */
export interface MendContext {
  readonly dir: string;
  readonly endpoint: Endpoint;
  /** The certificate that the directory has now. */
  readonly leaf: Certificate | undefined;
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
  return `cp ${quote(`${pki ?? "pki"}/ca-cert.pem`)} ${quote(`${context.dir}/ca-cert.pem`)}`;
}

/** A new authority; there is no other way to change the certificate of one. */
export function newAuthority(context: MendContext): string {
  const { host } = placeOf(context);
  return `deno task ca init --dir pki-new && deno task ca issue ${quote(host)} --dir pki-new`;
}

/** The host by the layout of `ca issue` (`PKI/hosts/HOST`), else by its certificate. */
function placeOf({ dir, leaf }: MendContext): { readonly host: string; readonly pki?: string } {
  const layout = /^(?:(.*)\/)?hosts\/([^/]+)\/?$/.exec(dir);
  if (layout !== null) return { host: layout[2]!, pki: layout[1] ?? "." };
  const name = leaf?.subjectAltName?.dns[0] ??
    (leaf && attributeValues(leaf.subject, OID.commonName)[0]);
  return { host: name ?? (/([^/]+)\/*$/.exec(dir)?.[1] ?? "HOST") };
}
