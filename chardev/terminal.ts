/** The terminal of a console: raw while it is joined to a device, as it was in every other moment. */

import type { Attachment } from "./local.ts";

/** Ctrl-], which ends a console as in `virsh console` and telnet. */
export const ESCAPE = 0x1d;
/** How it is written for people. */
export const ESCAPE_NAME = "^]";

/** The part of a terminal that is switched. */
export interface Terminal {
  isTerminal(): boolean;
  setRaw(raw: boolean, options?: { cbreak: boolean }): void;
}

/** Where an end of the process, or of its use of the terminal, is heard of. */
const ENDS = ["unload", "unhandledrejection", "error"] as const;

/**
 * Makes a terminal raw until it is disposed, so that every key, Ctrl-C too, is the guest's. The
 * end of the process restores it whatever the cause, an unhandled error included, except a
 * SIGKILL; so does a stop (SIGTSTP), after which it is raw again. A standard input that is no
 * terminal is left alone.
 *
 * @param options.signal Leaves Ctrl-C and its like to be signals.
 */
export function rawTerminal(
  terminal: Terminal = Deno.stdin,
  { signal = false }: { readonly signal?: boolean } = {},
): Attachment {
  if (!terminal.isTerminal()) return { raw: false, [Symbol.dispose]: () => {} };
  const enter = () => terminal.setRaw(true, { cbreak: signal });
  let raw = true;
  const stop = () => {
    terminal.setRaw(false);
    // The default of the signal that was caught.
    Deno.kill(Deno.pid, "SIGSTOP");
  };
  const restore = () => {
    if (!raw) return;
    raw = false;
    for (const end of ENDS) globalThis.removeEventListener(end, restore);
    Deno.removeSignalListener("SIGTSTP", stop);
    Deno.removeSignalListener("SIGCONT", enter);
    terminal.setRaw(false);
  };
  for (const end of ENDS) globalThis.addEventListener(end, restore);
  Deno.addSignalListener("SIGTSTP", stop);
  Deno.addSignalListener("SIGCONT", enter);
  enter();
  return { raw, [Symbol.dispose]: restore };
}
