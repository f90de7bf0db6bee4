/** Where many hosts' sets lie or will lie, looked at once. */

import { entryNames, isOwnDirectory, type PkiPaths } from "./pki.ts";

/** Gives the names of the files that a host has in its directory; `undefined` where it has none. */
export type HostPlaces = (host: string) => readonly string[] | undefined;

/** From how many hosts on one listing is cheaper than a look at each, most of which are new. */
const MANY_HOSTS = 20;

/**
 * Looks where hosts' sets lie.
 *
 * @param count How many will be asked for.
 * @throws {CaError} `NOT_A_DIRECTORY`, there and when something else lies in a host's place.
 */
export function hostPlaces(paths: PkiPaths, count: number): HostPlaces {
  for (const place of [paths.hosts, paths.previous]) isOwnDirectory(place);
  const names = count < MANY_HOSTS
    ? undefined
    : new Set(isOwnDirectory(paths.hosts) ? entryNames(paths.hosts) : []);
  return (host) => {
    const dir = `${paths.hosts}/${host}`;
    if (names !== undefined && !names.has(host)) return undefined;
    return isOwnDirectory(dir) ? entryNames(dir) : undefined;
  };
}
