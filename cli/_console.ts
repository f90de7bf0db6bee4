/** What the programs that run for a while share: messages, progress, signals. */

export { say, sayError } from "./_output.ts";

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 } as const;

/**
 * Runs work that SIGINT, SIGTERM, SIGQUIT and SIGHUP stop through its `AbortSignal`, so that it
 * puts the terminal, its socket file or what it has staged in order; gives the exit code, the
 * work's own where it has one.
 *
 * @param onHangUp What SIGHUP does instead.
 */
export async function untilSignal(
  work: (signal: AbortSignal) => Promise<number | void>,
  onHangUp?: () => void,
): Promise<number> {
  const stop = new AbortController();
  let code = 0;
  const listeners = Object.entries(SIGNALS).map(([name, number]) => {
    const listener = () => {
      if (name === "SIGHUP" && onHangUp !== undefined) return onHangUp();
      code = 128 + number;
      stop.abort();
    };
    Deno.addSignalListener(name as Deno.Signal, listener);
    return () => Deno.removeSignalListener(name as Deno.Signal, listener);
  });
  try {
    return await work(stop.signal) ?? 0;
  } catch (error) {
    if (stop.signal.aborted) return code;
    throw error;
  } finally {
    for (const remove of listeners) remove();
  }
}

/** How often in ms the progress of long work is shown. */
const PROGRESS_INTERVAL = 500;

/** A line that shows how far long work is. */
export interface ProgressLine extends Disposable {
  /** Wipes the line, so that a message can stand there; it comes back with the next bytes. */
  clear(): void;
}

/**
 * Shows work that counts bytes on a line of its own, on a terminal only, and wipes it at the end.
 *
 * @param bytes Gives the bytes so far; the line stays away while it gives 0.
 * @param detail Gives more to stand at the line's end.
 */
export function showProgress(
  verb: string,
  bytes: () => number,
  total?: number,
  detail: () => string = () => "",
): ProgressLine {
  if (!Deno.stderr.isTerminal()) return { clear: () => {}, [Symbol.dispose]: () => {} };
  let last = 0;
  let shown = false;
  const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  const clear = () => {
    if (shown) write("\r\x1b[K");
    shown = false;
  };
  const timer = setInterval(() => {
    const now = bytes();
    if (now === 0) return clear();
    const rate = Math.max(0, now - last) / 1e6 * (1000 / PROGRESS_INTERVAL);
    const share = total === undefined ? "" : ` of ${megabytes(total)}`;
    write(`\r\x1b[K${verb} ${megabytes(now)}${share} MB, ${rate.toFixed(0)} MB/s${detail()}`);
    last = now;
    shown = true;
  }, PROGRESS_INTERVAL);
  return {
    clear,
    [Symbol.dispose]() {
      clearInterval(timer);
      clear();
    },
  };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
