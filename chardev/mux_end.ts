/** The escape key on the local side: the person there types it, whether or not anybody is joined. */

import { unlessAborted } from "../base/mod.ts";
import type { Backend } from "./local.ts";
import { makeMux, type MuxHandlers } from "./mux.ts";
import { ESCAPE } from "./terminal.ts";

/** Bytes that wait for a reader at most; beyond, nothing is looked at any more, keys neither. */
const MAX_TYPED = 64 * 1024;
/** ms that whoever reads has to take what was typed before the key that ends it all. */
const GRACE = 500;

/**
 * Puts the keys on a local end. It is read as long as it is open, so the keys work while nobody
 * reads or nobody takes what was read; what is for the device waits. A terminal is raw as long.
 */
export function muxEnd(below: Backend, handlers: MuxHandlers = {}): Backend {
  const stop = new AbortController();
  const quit = new AbortController();
  const typed: Uint8Array[] = [];
  let held = 0;
  let over = false;
  let failure: { readonly error: unknown } | undefined;
  let arrived = Promise.withResolvers<void>();
  let taken = Promise.withResolvers<void>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const leave = () => quit.abort(new DOMException("a key has ended it", "AbortError"));
  const mux = makeMux(
    { onQuit: end, onBreak: () => muxed.onBreak?.(), ...handlers },
    (text) => void below.write(new TextEncoder().encode(text)).catch(() => {}),
  );
  const attached = below.attach?.() ?? { raw: false, [Symbol.dispose]() {} };

  function end(): void {
    if (over) return;
    over = true;
    timer = setTimeout(leave, GRACE);
    arrived.resolve();
  }

  function take(bytes: Uint8Array): void {
    const escape = attached.raw ? bytes.indexOf(ESCAPE) : -1;
    const data = mux.input(escape < 0 ? bytes : bytes.subarray(0, escape));
    if (data.length > 0) {
      typed.push(data.slice());
      held += data.length;
      arrived.resolve();
    }
    if (escape >= 0) end();
  }

  async function pump(): Promise<void> {
    try {
      while (!over) {
        const bytes = await below.read(stop.signal);
        if (bytes === null) break;
        take(bytes);
        while (held >= MAX_TYPED && !over) {
          taken = Promise.withResolvers();
          await unlessAborted(taken.promise, stop.signal);
        }
      }
    } catch (error) {
      failure = { error };
    }
    over = true;
    arrived.resolve();
  }

  const muxed: Backend = {
    ...below,
    filename: "mux",
    get base() {
      return below.filename;
    },
    quit: quit.signal,
    async read(signal) {
      for (;;) {
        signal.throwIfAborted();
        const data = typed.shift();
        if (data !== undefined) {
          held -= data.length;
          taken.resolve();
          return data;
        }
        if (timer !== undefined) leave();
        if (failure !== undefined) throw failure.error;
        if (over) return null;
        arrived = Promise.withResolvers();
        await unlessAborted(arrived.promise, signal);
      }
    },
    write: (bytes) => below.write(mux.output(bytes)),
    attach: () => ({ raw: attached.raw, [Symbol.dispose]() {} }),
    async [Symbol.asyncDispose]() {
      stop.abort(new DOMException("it is closed", "AbortError"));
      clearTimeout(timer);
      attached[Symbol.dispose]();
      await below[Symbol.asyncDispose]();
    },
  };
  below.onBreak = () => muxed.onBreak?.();
  pump();
  return muxed;
}
