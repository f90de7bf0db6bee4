/** A bar that shows how far a long work is, on a terminal alone. */

/** A bar; its line is empty again when it is disposed. */
export interface Progress extends Disposable {
  update(done: number): void;
}

const WIDTH = 30;
/** Ms between two updates: a terminal over a slow line shall not be what the work waits for. */
const INTERVAL = 100;

/** Makes a bar for that many steps; nothing is written where standard error is no terminal. */
export function progressBar(total: number): Progress {
  const write = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  const isShown = Deno.stderr.isTerminal() && total > 0;
  let last = 0;
  return {
    update(done) {
      if (!isShown || (done < total && Date.now() - last < INTERVAL)) return;
      last = Date.now();
      write(`\r${barText(done, total)}`);
    },
    [Symbol.dispose]() {
      if (isShown) write("\r\x1b[K");
    },
  };
}

/** The bar at a point: `[######----] 3/5`. */
export function barText(done: number, total: number): string {
  const full = Math.floor(WIDTH * done / total);
  return `[${"#".repeat(full)}${"-".repeat(WIDTH - full)}] ${done}/${total}`;
}
