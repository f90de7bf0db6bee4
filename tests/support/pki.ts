/** A CA with credentials for hosts, as `ca init` and `ca issue` make them. */

import { type Clock, systemClock } from "../../base/mod.ts";
import { type HostOptions, initAuthority, type IssuedHost, issueHost } from "../../ca/mod.ts";
import { chooseEngine, type Engine, type KeyType } from "../../engine/mod.ts";

/** A host to issue for. */
export interface PkiHost extends Omit<HostOptions, "host"> {
  readonly name: string;
  /** When its certificates are issued: {@linkcode daysFromNow} makes expired and future ones. */
  readonly clock?: Clock;
}

/** What a test needs. */
export interface PkiOptions {
  readonly hosts: readonly PkiHost[];
  /** Common name of the CA. */
  readonly name?: string;
  /** Kind of the CA's key; P-256 by default. */
  readonly keyType?: KeyType;
  /** When the CA is made; by default now or the earliest host's time. */
  readonly clock?: Clock;
  /** Days the CA is valid. */
  readonly days?: number;
  readonly engine?: Engine;
}

/** An authority and its hosts. */
export interface Pki {
  /** The authority's directory: `ca-cert.pem`, `ca-key.pem`, `ca-crl.pem`. */
  readonly dir: string;
  /** The credentials directory of a host. */
  host(name: string): string;
  /** What issuing said of a host. */
  issued(name: string): IssuedHost;
}

/**
 * Makes an authority in a directory and issues for hosts. Another one is made in another directory.
 *
 * @example
 * ```ts ignore
 * using temp = temporaryDirectory();
 * const pki = await makePki(`${temp.path}/pki`, {
 *   hosts: [
 *     { name: "localhost", ip: ["127.0.0.1"] },
 *     { name: "late", clock: daysFromNow(-400) },
 *     { name: "early", clock: daysFromNow(10) },
 *   ],
 * });
 * pki.host("localhost"); // dir= of tls-creds-x509
 * ```
 */
export async function makePki(dir: string, options: PkiOptions): Promise<Pki> {
  const engine = options.engine ?? await chooseEngine();
  const earliest = Math.min(
    ...options.hosts.map((host) => (host.clock ?? systemClock)().getTime()),
    Date.now(),
  );
  const { name, keyType, days } = options;
  await initAuthority({
    dir,
    engine,
    clock: options.clock ?? (() => new Date(earliest)),
    ...(name === undefined ? {} : { name }),
    ...(keyType === undefined ? {} : { keyType }),
    ...(days === undefined ? {} : { days }),
  });
  const issued = new Map<string, IssuedHost>();
  for (const host of options.hosts) {
    issued.set(host.name, await issueHost({ ...host, host: host.name, dir, engine }));
  }
  const find = (name: string) => {
    const found = issued.get(name);
    if (found === undefined) throw new Error(`no host ${name} in ${dir}`);
    return found;
  };
  return { dir, host: (name) => find(name).dir, issued: find };
}

/** A clock that many days ahead of this machine's, or behind it. */
export function daysFromNow(days: number): Clock {
  return () => new Date(Date.now() + days * 86_400_000);
}
