/** `ipv4=` and `ipv6=`: which family of addresses a host is kept to. */

import { lookup } from "node:dns/promises";
import type { TcpAddress } from "./address.ts";
import { ChannelError } from "./error.ts";

/** The one family that is allowed (QEMU's `inet_ai_family_from_address`), if it is one. */
export function familyOf({ ipv4, ipv6 }: TcpAddress): 4 | 6 | undefined {
  if (ipv4 && ipv6) return undefined;
  if (ipv6 || ipv4 === false) return 6;
  return ipv4 || ipv6 === false ? 4 : undefined;
}

/** The family of an IP literal; nothing for a name. */
export function literalFamily(host: string): 4 | 6 | undefined {
  return host.includes(":") ? 6 : /^[\d.]+$/.test(host) ? 4 : undefined;
}

/**
 * Gives the first address that a name has in a family.
 *
 * @throws {Error} In the words of getaddrinfo() if it has none.
 */
export async function resolveName(host: string, family: 4 | 6): Promise<string> {
  try {
    return (await lookup(host, { family })).address;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new Error("Name or service not known", { cause: error });
  }
}

/** The error of an IP literal whose family is switched off, in QEMU's words. */
export function wrongFamily({ host, port }: TcpAddress, allowed: 4 | 6): ChannelError {
  return new ChannelError("ADDRESS_UNRESOLVED", {
    peer: `${host}:${port}`,
    cause: "Address family for hostname not supported",
    hint: `${host} is an IPv${allowed === 4 ? 6 : 4} address, and ipv4= and ipv6= leave only IPv` +
      `${allowed}`,
  });
}
