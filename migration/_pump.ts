/** Bytes from one channel into another, unchanged, with the back-pressure of the slower one. */

import type { ByteChannel } from "../engine/mod.ts";

/** Bytes that are under way at once: two of these. */
const CHUNK = 256 * 1024;

/**
 * Moves bytes until the first channel ends, and then ends the other one's direction. The next
 * bytes are read while the ones before are written.
 *
 * @param look Is shown each piece before it is passed on; a throw ends it.
 * @param first Bytes that were read before.
 */
export async function pump(
  from: ByteChannel,
  to: ByteChannel,
  look: (bytes: Uint8Array) => void = () => {},
  first: Uint8Array = new Uint8Array(0),
): Promise<void> {
  const buffers = [new Uint8Array(CHUNK), new Uint8Array(CHUNK)] as const;
  let writing: Promise<void> = Promise.resolve();
  if (first.length > 0) {
    look(first);
    writing = to.write(first);
  }
  // Seen at the next write; until then it is nobody's.
  writing.catch(() => {});
  for (let turn = 0;; turn++) {
    const buffer = buffers[turn & 1]!;
    const count = await from.read(buffer);
    await writing;
    if (count === null) break;
    const bytes = buffer.subarray(0, count);
    look(bytes);
    writing = to.write(bytes);
    writing.catch(() => {});
  }
  await to.closeWrite();
}
