/** Credentials renewed: the same names, roles and subject for another span of time. */

import { readTextLimited, systemClock } from "../base/mod.ts";
import type { Certificate } from "../creds/mod.ts";
import type { KeyType } from "../engine/mod.ts";
import { isEncrypted } from "./authority_key.ts";
import { type RenewedAuthority, stageAuthority } from "./authority_renewal.ts";
import { changePki } from "./change.ts";
import { CaError } from "./error.ts";
import {
  daysOf,
  heldHosts,
  type HeldSet,
  keyTypeOf,
  namesOf,
  profileOf,
  readHeld,
} from "./held.ts";
import { parseHostName } from "./host_name.ts";
import {
  type IssueContext,
  issueEach,
  type IssueOutcome,
  refuseWithoutAuthority,
} from "./issue.ts";
import { openIssuer, readAuthority } from "./issuer.ts";
import { openLives } from "./life.ts";
import { isThere, type PkiPaths, pkiPaths, REQUEST_FILE } from "./pki.ts";
import { isRevoked } from "./plan.ts";
import type { Role } from "./profile.ts";
import type { HostRequest, KeptKey } from "./request.ts";
import type { RootOptions } from "./root.ts";
import { readRevoked } from "./revoked.ts";
import { isDue } from "./validity.ts";

/** Which hosts are renewed. */
export type RenewSelection =
  | { readonly kind: "hosts"; readonly hosts: readonly string[] }
  /** Two thirds of the life of one of their certificates are gone. */
  | { readonly kind: "due" }
  /** One of their certificates ends within this time, in ms. */
  | { readonly kind: "before"; readonly span: number }
  | { readonly kind: "all" };

/** What is renewed, and how. */
export interface RenewOptions extends IssueContext {
  readonly selection: RenewSelection;
  /** Makes new keys too. */
  readonly rekey?: boolean;
  /** Days of validity; as many as before the CA's end cut them, by default. */
  readonly days?: number | undefined;
  /** Renews the CA's certificate too; done in any case if that has expired. */
  readonly authority?: boolean;
  /** The root that then signs, where the CA is an issuing one. */
  readonly root?: RootOptions | undefined;
  /** Called with the number of hosts that are done, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was renewed. */
export interface RenewResult {
  /** The CA's new certificate, if it got one. */
  readonly authority: RenewedAuthority | undefined;
  readonly outcomes: readonly IssueOutcome[];
  /** Hosts of the selection that are revoked, and therefore not renewed. */
  readonly revoked: readonly string[];
}

/**
 * Renews credentials, at any time, long after everything has expired too: then the CA gets a new
 * certificate for its key first. Every host gets its new set or keeps what it has.
 *
 * @throws {CaError} `HOST_NAME`, `HOST_UNKNOWN` for a host that was never issued for; what is wrong
 * with the authority, as `issueHosts`.
 */
export async function renewHosts(options: RenewOptions): Promise<RenewResult> {
  const now = (options.clock ?? systemClock)();
  const paths = pkiPaths(options.dir);
  refuseWithoutAuthority(paths);
  const { selection } = options;
  const named = selection.kind === "hosts"
    ? [...new Set(selection.hosts.map((host) => parseHostName(host).text))]
    : undefined;
  for (const host of named ?? []) refuseUnknown(paths, host);
  const isOver = readAuthority(paths).notAfter < now;
  const authority = options.authority === true || isOver
    ? await renewAuthority(paths, options, now)
    : undefined;
  const list = readRevoked(paths);
  const revoked: string[] = [];
  const outcomes: IssueOutcome[] = [];
  const requests: HostRequest[] = [];
  await using lives = openLives(paths);
  for (const host of named ?? heldHosts(paths)) {
    const held = readHeld(paths, host);
    if (held === undefined || !isSelected(held, selection, now)) continue;
    if (isRevoked(held, list)) revoked.push(host);
    else {
      const days = options.days ?? await lives.daysFor(held);
      const request = tryRequest(held, { ...options, days });
      if ("names" in request) requests.push(request);
      else outcomes.push(request);
    }
  }
  const total = requests.length;
  const made = total === 0
    ? []
    : await issueEach(requests, options, (done) => options.onProgress?.(done, total));
  return { authority, outcomes: [...outcomes, ...made], revoked };
}

async function renewAuthority(
  paths: PkiPaths,
  options: RenewOptions,
  now: Date,
): Promise<RenewedAuthority> {
  return await changePki(paths, options, async (change) => {
    const { engine, passphrase } = options;
    const issuer = change.signedBy(
      await openIssuer(paths, { change, engine, now, passphrase, evenExpired: true }),
    );
    return await stageAuthority(paths, issuer, change, now, options);
  });
}

function refuseUnknown(paths: PkiPaths, host: string): void {
  if (readHeld(paths, host) !== undefined) return;
  throw new CaError("HOST_UNKNOWN", {
    value: host,
    file: `${paths.hosts}/${host}`,
    hint: `issue for it: deno task ca issue ${host} --dir ${paths.root}`,
  });
}

function isSelected(held: HeldSet, selection: RenewSelection, now: Date): boolean {
  // What cannot be read is said whatever was asked for.
  if (held.damage !== undefined) return true;
  const some = (test: (one: HeldSet["certificates"][number]) => boolean) =>
    held.certificates.some(test);
  switch (selection.kind) {
    case "hosts":
    case "all":
      return true;
    case "due":
      return some(({ certificate }) => isDue(certificate, now));
    case "before":
      return some(({ certificate }) =>
        certificate.notAfter.getTime() - now.getTime() < selection.span
      );
  }
}

/** As {@linkcode RenewSelection} would take it, or why it cannot be renewed. */
export function tryRequest(held: HeldSet, options: RenewOptions): HostRequest | IssueOutcome {
  try {
    return renewalOf(held, options);
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    return { ok: false, host: held.host, error };
  }
}

/** What a host has to be issued for what it holds to go on. */
function renewalOf(held: HeldSet, options: RenewOptions): HostRequest {
  const refuse = (cause: string, hint: string | readonly string[]) =>
    new CaError("NOT_RENEWABLE", { value: held.host, cause, hint });
  const first = held.certificates[0]?.certificate;
  if (held.damage !== undefined || first === undefined) {
    const hint = `issue for it anew: deno task ca issue ${held.host} --dir ${options.dir}`;
    throw refuse(held.damage ?? "it has no certificate", hint);
  }
  const requestFile = `${held.dir}/${REQUEST_FILE}`;
  const requests = isThere(requestFile) ? readTextLimited(requestFile) : undefined;
  const keys = new Map<Role, KeptKey>();
  for (const { role, certificate, keyFile } of held.certificates) {
    const rekeyed = options.rekey === true || keyTypeOf(certificate) === undefined;
    if (!isThere(keyFile) && requests !== undefined) {
      if (rekeyed) {
        throw refuse("its keys are on the host alone, so new ones are made there", [
          `on the host: deno task ca request ${held.host} --out NEW`,
          `then here: deno task ca sign NEW/${REQUEST_FILE} --host ${held.host} --dir ${options.dir}`,
        ]);
      }
      keys.set(role, { publicKey: certificate.spki, pem: undefined, ...typeOf(certificate) });
      continue;
    }
    if (!isThere(keyFile)) {
      if (!rekeyed) {
        const command = `deno task ca renew ${held.host} --rekey --dir ${options.dir}`;
        throw refuse(`${keyFile} is missing`, `make new keys: ${command}`);
      }
      continue;
    }
    const pem = readTextLimited(keyFile);
    if (isEncrypted(pem) && options.hostPassphrase === undefined) {
      throw refuse(`${keyFile} is encrypted`, "give its passphrase: --host-passphrase-file FILE");
    }
    if (!rekeyed) keys.set(role, { publicKey: certificate.spki, pem, ...typeOf(certificate) });
  }
  const keysOnHost = [...keys.values()].some(({ pem }) => pem === undefined);
  const host = parseHostName(held.host);
  const names = [host, ...namesOf(first)];
  return {
    host,
    names: [...new Map(names.map((name) => [`${name.kind}:${name.text}`, name])).values()],
    roles: held.certificates.map((one) => one.role),
    keyType: keyTypeOf(first) ?? "ec-p256",
    profile: profileOf(first),
    subject: undefined,
    days: options.days ?? Math.max(1, daysOf(first)),
    kept: {
      subject: first.subject.raw,
      keys,
      ...(requests === undefined || !keysOnHost ? {} : { requests }),
    },
  };
}

function typeOf(certificate: Certificate): { readonly keyType?: KeyType } {
  const keyType = keyTypeOf(certificate);
  return keyType === undefined ? {} : { keyType };
}
