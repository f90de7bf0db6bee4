/** A local end whose device is exchanged while it is in use: `chardev-change`. */

import type { Backend } from "./local.ts";

/** An end that stays while its device changes. */
export interface Swappable extends Backend {
  /** The device of now. */
  readonly device: Backend;
  /** Puts another device in its place, and closes the one before. */
  swap(next: Backend): Promise<void>;
}

/** Makes an end of a device, which is the end's from now on. */
export function swappable(first: Backend): Swappable {
  let device = first;
  let changed = new AbortController();
  const quit = new AbortController();
  const heed = (device: Backend) =>
    device.quit?.addEventListener("abort", () => quit.abort(device.quit?.reason), { once: true });
  /** What ends a read, kept for as long as the reader's signal is the same. */
  let reader: { readonly signal: AbortSignal; readonly either: AbortSignal } | undefined;
  const either = (signal: AbortSignal) => {
    if (reader?.signal !== signal) {
      reader = { signal, either: AbortSignal.any([signal, changed.signal]) };
    }
    return reader.either;
  };
  const end: Swappable = {
    get device() {
      return device;
    },
    get filename() {
      return device.filename;
    },
    get base() {
      return device.base;
    },
    quit: quit.signal,
    async read(signal) {
      for (;;) {
        const from = device;
        try {
          const chunk = await from.read(either(signal));
          if (chunk !== null || from === device) return chunk;
        } catch (error) {
          if (signal.aborted || from === device) throw error;
        }
      }
    },
    async write(bytes) {
      const to = device;
      try {
        await to.write(bytes);
      } catch (error) {
        // What was meant for a device that is gone is lost with it.
        if (to === device) throw error;
      }
    },
    endWrite: async () => await device.endWrite?.(),
    sendBreak: async () => await device.sendBreak?.(),
    attach: () => device.attach?.() ?? { raw: false, [Symbol.dispose]() {} },
    async swap(next) {
      const before = device;
      device = next;
      next.onBreak = () => end.onBreak?.();
      heed(next);
      changed.abort(new DOMException("another device has taken its place", "AbortError"));
      changed = new AbortController();
      reader = undefined;
      await before[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
  };
  first.onBreak = () => end.onBreak?.();
  heed(first);
  return end;
}
