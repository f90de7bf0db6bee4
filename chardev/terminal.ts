/** The terminal of a console: raw while it is joined to a device, as it was in every other moment. */

/** Ctrl-], which ends a console as in `virsh console` and telnet. */
export const ESCAPE = 0x1d;
/** How it is written for people. */
export const ESCAPE_NAME = "^]";

/** The part of a terminal that is switched. */
export interface Terminal {
  isTerminal(): boolean;
  setRaw(raw: boolean): void;
}

/**
 * Makes a terminal raw until it is disposed, so that every key, Ctrl-C too, is the guest's. The
 * end of the process restores it whatever the cause, an unhandled error included, except a
 * SIGKILL. A standard input that is no terminal is left alone.
 */
export function rawTerminal(terminal: Terminal = Deno.stdin): { raw: boolean } & Disposable {
  if (!terminal.isTerminal()) return { raw: false, [Symbol.dispose]: () => {} };
  let raw = true;
  const restore = () => {
    if (!raw) return;
    raw = false;
    globalThis.removeEventListener("unload", restore);
    globalThis.removeEventListener("unhandledrejection", restore);
    globalThis.removeEventListener("error", restore);
    terminal.setRaw(false);
  };
  globalThis.addEventListener("unload", restore);
  globalThis.addEventListener("unhandledrejection", restore);
  globalThis.addEventListener("error", restore);
  terminal.setRaw(true);
  return { raw, [Symbol.dispose]: restore };
}
