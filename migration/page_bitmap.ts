/** One bit for each page: which are to be sent, which were seen. */

/** A bitmap that knows how many of its bits are set. */
export class PageBitmap {
  readonly #words: Uint32Array;
  #count = 0;

  constructor(readonly pages: number) {
    this.#words = new Uint32Array(Math.ceil(pages / 32));
  }

  /** How many are set. */
  get count(): number {
    return this.#count;
  }

  has(page: number): boolean {
    return (this.#words[page >>> 5]! & (1 << (page & 31))) !== 0;
  }

  /** Sets one; gives whether it was not set before. */
  add(page: number): boolean {
    const bit = 1 << (page & 31);
    const word = page >>> 5;
    if ((this.#words[word]! & bit) !== 0) return false;
    this.#words[word] = this.#words[word]! | bit;
    this.#count++;
    return true;
  }

  /** Unsets one; gives whether it was set before. */
  delete(page: number): boolean {
    const bit = 1 << (page & 31);
    const word = page >>> 5;
    if ((this.#words[word]! & bit) === 0) return false;
    this.#words[word] = this.#words[word]! & ~bit;
    this.#count--;
    return true;
  }

  addAll(): void {
    this.#words.fill(0xffffffff);
    const over = this.pages & 31;
    if (over !== 0) this.#words[this.#words.length - 1] = 2 ** over - 1;
    this.#count = this.pages;
  }

  clear(): void {
    this.#words.fill(0);
    this.#count = 0;
  }

  /** The first one that is set from here on, or -1. */
  next(from: number): number {
    for (let word = from >>> 5, mask = -1 << (from & 31); word < this.#words.length; word++) {
      const bits = this.#words[word]! & mask;
      if (bits !== 0) return word * 32 + (31 - Math.clz32(bits & -bits));
      mask = -1;
    }
    return -1;
  }

  /** The last one that is not set, or -1. */
  lastUnset(): number {
    if (this.#count === this.pages) return -1;
    for (let page = this.pages - 1; page >= 0; page--) {
      const isFull = (page & 31) === 31 && this.#words[page >>> 5] === 0xffffffff;
      if (isFull) page -= 31;
      else if (!this.has(page)) return page;
    }
    return -1;
  }

  /** Adds what another one has, which is empty then; gives how many that one had. */
  take(other: PageBitmap): number {
    const { count } = other;
    if (count === 0) return 0;
    for (let page = other.next(0); page >= 0; page = other.next(page + 1)) this.add(page);
    other.clear();
    return count;
  }
}
