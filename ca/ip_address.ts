/** IP addresses as a certificate carries them: octets, and one spelling for each. */

/** An address. */
export interface IpAddress {
  /** As RFC 5952 spells it: the only form that reaches a path or an output. */
  readonly text: string;
  /** 4 or 16 octets in network order, the contents of an iPAddress name (RFC 5280 4.2.1.6). */
  readonly octets: Uint8Array;
}

/**
 * Reads an IPv4 or IPv6 literal. IPv4 is four decimal parts without leading zeros, since others
 * read `010` as eight; an IPv6 zone is no part of an address.
 *
 * An IPv4-mapped address stays the 16 octets that it is: GnuTLS compares the octets of the name
 * that a peer was addressed by, and that name had a colon.
 *
 * @returns `undefined` if the text is no such literal.
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  const octets = text.includes(":") ? parseIpv6(text) : parseIpv4(text);
  return octets === undefined ? undefined : { text: formatIpAddress(octets), octets };
}

/** Spells 4 or 16 octets as RFC 5952 has it. */
export function formatIpAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => octets[2 * i]! * 256 + octets[2 * i + 1]!);
  const mapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (mapped) return `::ffff:${octets.subarray(12).join(".")}`;
  const { start, length } = longestZeroRun(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, start).join(":")}::${hex.slice(start + length).join(":")}`;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1);
  if (parts.some((part) => Number(part) > 255 || (part.length > 1 && part[0] === "0"))) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const tail = /^(.*:)([^:]*\.[^:]*)$/.exec(text);
  const v4 = tail === null ? undefined : parseIpv4(tail[2]!);
  if (tail !== null && v4 === undefined) return undefined;
  const hex = v4 === undefined
    ? text
    : `${tail![1]}${(v4[0]! * 256 + v4[1]!).toString(16)}:${(v4[2]! * 256 + v4[3]!).toString(16)}`;
  const halves = hex.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], rest = []] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - head.length - rest.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<string>(missing).fill("0"), ...rest];
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return Uint8Array.from(groups.flatMap((group) => {
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  }));
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
