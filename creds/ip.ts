/** Addresses as bytes, the form that a certificate has them in. */

/**
 * Reads an address as `inet_pton` does: four decimal numbers without leading zeros, or IPv6 without
 * brackets and without a zone.
 *
 * @returns 4 or 16 bytes, or `undefined` if the text is no address.
 */
export function parseIpAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** Writes an address of 4 or 16 bytes (RFC 5952 for IPv6); other lengths in hexadecimal. */
export function formatIpAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  if (bytes.length !== 16) return bytes.toHex();
  const groups = Array.from({ length: 8 }, (_, i) => bytes[2 * i]! << 8 | bytes[2 * i + 1]!);
  const text = groups.map((group) => group.toString(16)).join(":");
  const zeros = [...text.matchAll(/(?<![^:])0(?::0)+(?![^:])/g)]
    .sort((a, b) => b[0].length - a[0].length)[0];
  if (zeros === undefined) return text;
  const before = text.slice(0, zeros.index).replace(/:$/, "");
  const after = text.slice(zeros.index + zeros[0].length).replace(/^:/, "");
  return `${before}::${after}`;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const fits = (part: string) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256;
  return parts.length === 4 && parts.every(fits) ? Uint8Array.from(parts, Number) : undefined;
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1));
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === 16 ? Uint8Array.from(head) : undefined;
  if (tail === undefined || head.length + tail.length > 14) return undefined;
  const gap = Array<number>(16 - head.length - tail.length).fill(0);
  return Uint8Array.from([...head, ...gap, ...tail]);
}

/** Groups of a half, in bytes; the very last one may be an IPv4 address. */
function parseGroups(half: string, isLast: boolean): number[] | undefined {
  const bytes: number[] = [];
  if (half === "") return bytes;
  const groups = half.split(":");
  for (const [i, group] of groups.entries()) {
    const ipv4 = isLast && i === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) bytes.push(...ipv4);
    else if (/^[0-9A-Fa-f]{1,4}$/.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes.length > 16 ? undefined : bytes;
}
