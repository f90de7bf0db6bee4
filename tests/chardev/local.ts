/** Local ends for tests: what is typed is scripted, what is shown is kept. */

import type { LocalEnd } from "../../chardev/mod.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A person at a console, played by a test. */
export interface TestLocal extends LocalEnd {
  /** Types a text. */
  type(text: string | Uint8Array): void;
  /** Ends the input. */
  end(): void;
  /** All that was shown so far. */
  shown(): string;
  /** Waits until a text was shown. */
  until(text: string): Promise<void>;
}

/** Makes a local end. */
export function testLocal(): TestLocal {
  const typed: (Uint8Array | null)[] = [];
  const output: Uint8Array[] = [];
  let wake = Promise.withResolvers<void>();
  const changed = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const shown = () => output.map((bytes) => decoder.decode(bytes)).join("");
  return {
    type(text) {
      typed.push(typeof text === "string" ? encoder.encode(text) : text);
      changed();
    },
    end() {
      typed.push(null);
      changed();
    },
    shown,
    async until(text) {
      const deadline = Date.now() + 20_000;
      while (!shown().includes(text)) {
        if (Date.now() > deadline) throw new Error(`${text} never came, only: ${shown()}`);
        await Promise.race([wake.promise, new Promise((resolve) => setTimeout(resolve, 100))]);
      }
    },
    async read(signal) {
      for (;;) {
        signal.throwIfAborted();
        if (typed.length > 0) return typed[0] === null ? null : typed.shift()!;
        const { promise, reject } = Promise.withResolvers<never>();
        const abort = () => reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        try {
          await Promise.race([wake.promise, promise]);
        } finally {
          signal.removeEventListener("abort", abort);
        }
      }
    },
    write(bytes) {
      output.push(bytes.slice());
      changed();
      return Promise.resolve();
    },
  };
}
