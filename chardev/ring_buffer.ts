/** Memory that keeps what was written last, as QEMU's `ringbuf`. */

import { silence } from "./_pull.ts";
import type { Backend } from "./local.ts";

/** A ring buffer as a local end, and what is in it. */
export interface RingBuffer extends Backend {
  /** How much is kept, in bytes. */
  readonly size: number;
  /** Takes the oldest bytes out, at most so many. */
  take(count: number): Uint8Array;
}

/** Makes one; what is written beyond its size pushes the oldest out. */
export function ringBuffer(size: number): RingBuffer {
  const ring = new Uint8Array(size);
  /** Ever written and ever taken: the difference is what is there. */
  let [written, taken] = [0, 0];
  return {
    filename: "ringbuf",
    size,
    read: silence,
    write(bytes) {
      const last = bytes.subarray(Math.max(0, bytes.length - size));
      written += bytes.length - last.length;
      const at = written % size;
      const first = last.subarray(0, size - at);
      ring.set(first, at);
      ring.set(last.subarray(first.length));
      written += last.length;
      taken = Math.max(taken, written - size);
      return Promise.resolve();
    },
    take(count) {
      const out = new Uint8Array(Math.min(count, written - taken));
      for (let i = 0; i < out.length; i++) out[i] = ring[(taken + i) % size]!;
      taken += out.length;
      return out;
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
