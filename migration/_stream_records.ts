/** What is left of a stream without its pages. */

/** Bytes that are held at first. */
const HELD = 64 * 1024;

/** The records of a stream without its pages: bytes wait until it is known which they are. */
export class StreamRecords {
  #held = new Uint8Array(HELD);
  #from = 0;
  #until = 0;
  /** Offset in the stream of the first byte that is held. */
  #offset = 0;
  #isPages = false;

  constructor(readonly emit: (bytes: Uint8Array) => void) {}

  feed(bytes: Uint8Array): void {
    const length = this.#until - this.#from;
    if (this.#until + bytes.length > this.#held.length) {
      const target = length + bytes.length <= this.#held.length / 2
        ? this.#held
        : new Uint8Array(2 * (length + bytes.length));
      target.set(this.#held.subarray(this.#from, this.#until));
      this.#held = target;
      this.#from = 0;
      this.#until = length;
    }
    this.#held.set(bytes, this.#until);
    this.#until += bytes.length;
  }

  border(kind: "pages" | "records", offset: number): void {
    this.settle(offset);
    this.#isPages = kind === "pages";
  }

  /** Lets go of all that stands before an offset. */
  settle(offset: number): void {
    const count = Math.min(offset - this.#offset, this.#until - this.#from);
    if (count <= 0) return;
    if (!this.#isPages) this.emit(this.#held.subarray(this.#from, this.#from + count));
    this.#from += count;
    this.#offset += count;
  }
}
