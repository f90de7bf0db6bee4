/** Standard input and output as the local side of a device. */

import { pullReader } from "./_pull.ts";
import type { Backend } from "./local.ts";
import { rawTerminal } from "./terminal.ts";

/** The streams of this process, or what stands for them. */
export interface Streams {
  readonly input: { read(into: Uint8Array): Promise<number | null> };
  readonly output: { write(bytes: Uint8Array): Promise<number> };
}

/** What a terminal does with Ctrl-C. */
export interface StdioOptions {
  /** It is a signal to this program, as in QEMU; the guest gets it otherwise. */
  readonly signal?: boolean;
}

/** Makes a local end of standard input and output; there should be one in a process. */
export function stdioEnd(
  streams: Streams = { input: Deno.stdin, output: Deno.stdout },
  { signal = false }: StdioOptions = {},
): Backend {
  return {
    filename: "stdio",
    read: pullReader((into) => streams.input.read(into)),
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        done += await streams.output.write(done === 0 ? bytes : bytes.subarray(done));
      }
    },
    attach: () => streams.input === Deno.stdin ? rawTerminal(Deno.stdin, { signal }) : NO_TERMINAL,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const NO_TERMINAL = { raw: false, [Symbol.dispose]() {} };
