/** Where the channels of a multifd migration wait for each other. */

/** Each channel arrives, the main one lets all of them pass, as often as it must be. */
export class SyncGate {
  #arrived = 0;
  #failure: { readonly error: unknown } | undefined;
  #all: PromiseWithResolvers<void> = quiet();
  #go: PromiseWithResolvers<void> = quiet();

  constructor(readonly channels: number) {}

  /** A channel says that it has done all of its part; settles when it may go on. */
  arrive(): Promise<void> {
    if (++this.#arrived === this.channels) this.#all.resolve();
    return this.#go.promise;
  }

  /** How many channels have arrived since they were last let go. */
  get arrived(): number {
    return this.#arrived;
  }

  /** Waits for all channels, then lets them go on. */
  async pass(): Promise<void> {
    if (this.channels === 0) return;
    if (this.#failure !== undefined) throw this.#failure.error;
    await this.#all.promise;
    const go = this.#go;
    this.#arrived = 0;
    this.#all = quiet();
    this.#go = quiet();
    go.resolve();
  }

  /**
   * Ends all waiting, now and later: something is broken, or a channel has ended, which it may
   * when nobody has to wait for it any more.
   */
  fail(error: unknown): void {
    this.#failure = { error };
    this.#all.reject(error);
    this.#go.reject(error);
  }
}

/** A promise that may be rejected while nobody waits for it. */
function quiet(): PromiseWithResolvers<void> {
  const settle = Promise.withResolvers<void>();
  settle.promise.catch(() => {});
  return settle;
}
