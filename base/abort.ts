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

/** Gives what the promise gives, or nothing if that takes longer than so many ms; it goes on. */
export async function unlessLate<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Makes a watch for a caller that waits again and again under the same signal: it listens to the
 * signal that it was shown last, once, since a listener for each wait costs more than most waits.
 *
 * @param onAbort Is called when that signal aborts; one that has aborted before is not watched.
 */
export function signalWatch(onAbort: (reason: unknown) => void): (signal: AbortSignal) => void {
  let watched: AbortSignal | undefined;
  const abort = () => onAbort(watched?.reason);
  return (signal) => {
    if (signal === watched) return;
    watched?.removeEventListener("abort", abort);
    watched = signal;
    watched.addEventListener("abort", abort, { once: true });
  };
}
