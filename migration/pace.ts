/** Keeps a sender to a bandwidth, and measures the one it has. */

/** ms in which the limit counts, as in QEMU (`BUFFER_DELAY`). */
const WINDOW = 100;

/** A limit that may change while it holds. */
export class Pace {
  /** Bytes a ms that were last measured; 0 before the first measurement. */
  bandwidth = 0;
  #start = performance.now();
  #spent = 0;

  /** @param limit Gives bytes a second; 0 is none. */
  constructor(readonly limit: () => number) {}

  /** Notes bytes that were sent; settles when more may be. */
  async spend(bytes: number): Promise<void> {
    this.#spent += bytes;
    let elapsed = performance.now() - this.#start;
    const limit = this.limit();
    if (limit > 0 && this.#spent >= limit * WINDOW / 1000) {
      // What one window had too much of, the next one has not.
      const due = this.#spent / limit * 1000;
      if (due > elapsed) await new Promise((resolve) => setTimeout(resolve, due - elapsed));
      elapsed = performance.now() - this.#start;
    }
    if (elapsed < WINDOW) return;
    this.bandwidth = this.#spent / elapsed;
    this.#spent = 0;
    this.#start = performance.now();
  }
}
