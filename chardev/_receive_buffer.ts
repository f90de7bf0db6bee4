/** What a device's bytes are read into: small for keys, large for a file that is poured in. */

/** Most bytes that are taken at once: a file takes as long for little as for much. */
const MOST = 256 * 1024;

/** Gives the buffer of the next read: a larger one where this one was filled, up to 256 KiB. */
export function grown(
  buffer: Uint8Array<ArrayBuffer>,
  count: number | null,
): Uint8Array<ArrayBuffer> {
  if (count !== buffer.length || count >= MOST) return buffer;
  return new Uint8Array(Math.min(MOST, 4 * count));
}
