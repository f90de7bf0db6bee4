/** Notices when the files of credentials were replaced. */

import { basename, dirname, resolve } from "@std/path";

/** How long in ms files must have been left alone before they are looked at. */
const SETTLE = 300;

/** Longest time in ms that changes which never end hold a look back. */
const LONGEST_SETTLE = 3000;

/** How long in ms directories that cannot be watched are left alone. */
const RETRY = 1000;

/**
 * Calls back at once, and after each time that something changed in a directory or in its place:
 * a set may be renewed file by file, by a link, or by another directory of the same name. A burst
 * of changes is one.
 *
 * @returns When the signal aborts.
 */
export async function watchDirectories(
  directories: readonly string[],
  onChange: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // A directory that took the place of another is another one for the system: watch anew.
    const places = directories.flatMap(placesOf);
    const watcher = openWatcher(places);
    try {
      await onChange();
      if (watcher === undefined) await pause(RETRY, signal);
      else await settled(watcher, places, signal);
    } finally {
      close(watcher);
    }
  }
}

/** A directory as it is named and, where links lead to it, as it is. */
function placesOf(directory: string): string[] {
  const named = resolve(directory);
  try {
    return [...new Set([named, Deno.realPathSync(named)])];
  } catch {
    return [named];
  }
}

function openWatcher(places: readonly string[]): Deno.FsWatcher | undefined {
  const paths = new Set(places.flatMap((place) => [place, dirname(place)]));
  try {
    return Deno.watchFs([...paths].filter(isDirectory), { recursive: false });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return undefined;
  }
}

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** Waits for a change, and then until there is none for a while. */
async function settled(
  watcher: Deno.FsWatcher,
  places: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const stop = () => close(watcher);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let first: number | undefined;
  try {
    for await (const { kind, paths } of watcher) {
      // Reading the files is no change of them.
      if (kind === "access" || !paths.some((path) => concerns(path, places))) continue;
      first ??= performance.now();
      clearTimeout(timer);
      const left = first + LONGEST_SETTLE - performance.now();
      timer = setTimeout(stop, Math.max(0, Math.min(SETTLE, left)));
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** Whether a path is of a directory or in it, and not of its neighbours. */
function concerns(path: string, places: readonly string[]): boolean {
  return places.some((place) => dirname(path) === place || basename(path) === basename(place));
}

function close(watcher: Deno.FsWatcher | undefined): void {
  try {
    watcher?.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const stop = () => resolve();
  signal.addEventListener("abort", stop, { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  });
}
