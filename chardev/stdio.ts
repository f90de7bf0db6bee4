/** Standard input and output as the local side of a device. */

import { unlessAborted } from "../base/mod.ts";
import type { LocalEnd } from "./local.ts";

/** Most bytes that are taken from standard input at once. */
const CHUNK = 64 * 1024;

/** The streams of this process, or what stands for them. */
export interface Streams {
  readonly input: { read(into: Uint8Array): Promise<number | null> };
  readonly output: { write(bytes: Uint8Array): Promise<number> };
}

/** Makes a local end of standard input and output; there should be one in a process. */
export function stdioEnd(streams: Streams = { input: Deno.stdin, output: Deno.stdout }): LocalEnd {
  const buffer = new Uint8Array(CHUNK);
  /** Deno cannot take a read back: one that was given up waits here for the next caller. */
  let pending: Promise<number | null> | undefined;
  let ended = false;
  return {
    async read(signal) {
      if (ended) return null;
      const reading = pending ??= streams.input.read(buffer);
      reading.catch(() => {});
      const count = await unlessAborted(reading, signal);
      pending = undefined;
      ended = count === null;
      return count === null ? null : buffer.subarray(0, count);
    },
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        done += await streams.output.write(done === 0 ? bytes : bytes.subarray(done));
      }
    },
  };
}
