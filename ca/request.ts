/** What is asked for a host, checked before anything is made or written. */

import { findProfile, type Profile } from "../creds/mod.ts";
import type { KeyType } from "../engine/mod.ts";
import { CaError } from "./error.ts";
import { parseDnsName, parseHostName, parseIpName, type SubjectName } from "./host_name.ts";
import { type NameAttribute, parseSubject } from "./name.ts";
import { type ProfileName, type Role, ROLES } from "./profile.ts";
import { checkDays, HOST_DAYS } from "./validity.ts";

/** A host as the user or an inventory names it. */
export interface HostOptions {
  /** DNS name or IP literal; its directory is called so. */
  readonly host: string;
  /** Further DNS names. */
  readonly dns?: readonly string[];
  /** Further IP addresses. */
  readonly ip?: readonly string[];
  /** Both by default. */
  readonly roles?: readonly Role[];
  /** P-256 by default. */
  readonly keyType?: KeyType;
  /** `widest` by default. */
  readonly profile?: ProfileName;
  /** What its subject has before the CN, as {@linkcode parseSubject} reads it; `O=<CA>` by default. */
  readonly subject?: string | undefined;
  /** Whether a DNS name may be a wildcard. */
  readonly allowWildcard?: boolean;
  /** Days of validity, {@linkcode HOST_DAYS} by default. */
  readonly days?: number;
  /** The version of its QEMU, which then has to take the set; every one by default. */
  readonly qemu?: string;
}

/** A key that a host has already. */
export interface KeptKey {
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** `undefined` where the host alone has it. */
  readonly pem: string | undefined;
  /** The kind of the set's keys by default. */
  readonly keyType?: KeyType;
}

/** What a renewal takes over from the set that a host has. */
export interface Kept {
  /** Name, DER; one is made where it is absent. */
  readonly subject?: Uint8Array;
  /** Of the roles that do not get a new one. */
  readonly keys: ReadonlyMap<Role, KeptKey>;
  /** The requests that a host asked with which has its keys itself, PEM. */
  readonly requests?: string;
}

/** A host that can be issued for. */
export interface HostRequest {
  readonly host: SubjectName;
  /** The host's own name first; none twice. */
  readonly names: readonly SubjectName[];
  /** In the order of {@linkcode ROLES}. */
  readonly roles: readonly Role[];
  readonly keyType: KeyType;
  readonly profile: ProfileName;
  /** What comes before the CN; `undefined` for the CA's name as O. */
  readonly subject: readonly NameAttribute[] | undefined;
  readonly days: number;
  /** The QEMU that has to take the set; every line of it by default. */
  readonly qemu?: Profile;
  readonly kept?: Kept;
}

/**
 * Checks what is asked for hosts.
 *
 * @throws {CaError} `HOST_NAME`, `DNS_NAME`, `IP_ADDRESS` for a name that is none, `HOST_NAME` if a
 * host is named twice, `SUBJECT`.
 */
export function parseRequests(hosts: readonly HostOptions[]): HostRequest[] {
  const seen = new Set<string>();
  return hosts.map((options) => {
    const request = parseRequest(options);
    if (seen.has(request.host.text)) {
      const cause = request.host.text === options.host
        ? "it is given twice"
        : `it is ${request.host.text}, which is given already`;
      throw new CaError("HOST_NAME", { value: options.host, cause, hint: "name each host once" });
    }
    seen.add(request.host.text);
    return request;
  });
}

/** Checks what is asked for one host; see {@linkcode parseRequests}. */
export function parseRequest(options: HostOptions): HostRequest {
  const { keyType = "ec-p256", profile = "widest", days = HOST_DAYS, subject } = options;
  const host = parseHostName(options.host);
  const names = [
    host,
    ...(options.dns ?? []).map((name) => parseDnsName(name, "--dns", options.allowWildcard)),
    ...(options.ip ?? []).map(parseIpName),
  ];
  const unique = new Map(names.map((name) => [`${name.kind}:${name.text}`, name]));
  const wanted = options.roles ?? [];
  const roles = wanted.length === 0 ? ROLES : ROLES.filter((role) => wanted.includes(role));
  return {
    host,
    names: [...unique.values()],
    roles,
    keyType,
    profile,
    subject: subject === undefined ? undefined : parseSubject(subject),
    days: checkDays(days),
    ...(options.qemu === undefined ? {} : { qemu: findProfile(options.qemu) }),
  };
}
