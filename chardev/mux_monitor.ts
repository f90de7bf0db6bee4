/** The human monitor behind an escape key: `mon:stdio`. */

import { type Monitor, serveHmp } from "../monitor/mod.ts";
import type { MuxMonitor } from "./mux.ts";

/**
 * Makes a monitor that is typed into and shown on the device that the keys come from, as with
 * QEMU's `mon:`. It begins when it is first in front.
 */
export function muxMonitor(
  monitor: Monitor,
  print: (text: string) => void,
  signal?: AbortSignal,
): MuxMonitor {
  const typed: Uint8Array[] = [];
  let wake = Promise.withResolvers<void>();
  let closed = false;
  let started = false;
  const decoder = new TextDecoder();
  const close = () => {
    closed = true;
    wake.resolve();
  };
  const channel = {
    peer: "the monitor",
    async read(into: Uint8Array): Promise<number | null> {
      while (typed.length === 0) {
        if (closed) return null;
        await wake.promise;
        wake = Promise.withResolvers();
      }
      const part = typed[0]!.subarray(0, into.length);
      into.set(part);
      if (part.length === typed[0]!.length) typed.shift();
      else typed[0] = typed[0]!.subarray(part.length);
      return part.length;
    },
    write(bytes: Uint8Array): Promise<void> {
      print(decoder.decode(bytes, { stream: true }));
      return Promise.resolve();
    },
    closeWrite: () => Promise.resolve(),
    close,
    [Symbol.asyncDispose]: () => Promise.resolve(close()),
  };
  return {
    type(bytes) {
      typed.push(bytes);
      wake.resolve();
    },
    focus() {
      // QEMU's monitor shows its prompt again when it comes back to the front.
      if (started) return print("(qemu) ");
      started = true;
      const options = { edits: true, ...(signal === undefined ? {} : { signal }) };
      serveHmp(channel, monitor, options).catch(() => {});
    },
  };
}
