/** Runs of bytes. */

/** Whether two runs of bytes are equal; in no constant time, so nothing for secrets. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && endsWith(a, b);
}

/** Whether a run of bytes ends with another one. */
export function endsWith(bytes: Uint8Array, end: Uint8Array): boolean {
  const start = bytes.length - end.length;
  if (start < 0) return false;
  for (let i = 0; i < end.length; i++) if (bytes[start + i] !== end[i]) return false;
  return true;
}
