/** Waiting that an abort ends. */

/** Waits, in ms; an abort rejects with the signal's reason. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Ms that work goes on without a look at what else there is to do. */
const LONGEST_BREATH = 50;

let lastBreath = 0;

/**
 * Lets timers and signals of the system have their turn in a loop that waits for nothing, now and
 * then; an abort rejects with the signal's reason.
 */
export async function breathe(signal?: AbortSignal): Promise<void> {
  const now = performance.now();
  if (now - lastBreath > LONGEST_BREATH) {
    await pause(0, signal);
    lastBreath = performance.now();
  }
  signal?.throwIfAborted();
}

/** Gives what the promise gives, or rejects with the signal's reason; the promise goes on. */
export async function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return await promise;
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Waits as {@linkcode unlessAborted} does, for one caller at a time. */
export type AbortableWait = <T>(promise: Promise<T>, signal: AbortSignal) => Promise<T>;

/**
 * Makes an {@linkcode unlessAborted} for a caller that waits again and again under the same signal:
 * it listens to a signal once, since a listener for each wait costs more than most waits.
 */
export function abortableWait(): AbortableWait {
  let watched: AbortSignal | undefined;
  let giveUp: ((reason: unknown) => void) | undefined;
  const abort = () => giveUp?.(watched?.reason);
  const watch = (signal: AbortSignal) => {
    watched?.removeEventListener("abort", abort);
    watched = signal;
    watched.addEventListener("abort", abort, { once: true });
  };
  return (promise, signal) => {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (signal !== watched) watch(signal);
    return new Promise((resolve, reject) => {
      giveUp = reject;
      promise.then(resolve, reject);
    });
  };
}
