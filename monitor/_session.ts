/** One client of a monitor: its channel, and the descriptors that it has sent. */

import type { ByteChannel } from "../engine/mod.ts";
import { closeDescriptor } from "../os/mod.ts";
import type { MonitorSession, NamedDescriptors } from "./command.ts";

/** A channel to a client; over a unix socket descriptors may come with the bytes. */
export interface MonitorChannel extends ByteChannel {
  /** Takes the oldest descriptor that came and nobody has taken. */
  takeDescriptor?(): number | undefined;
}

/** Makes what a command sees of its client. Disposing closes the descriptors that are left. */
export function makeSession(
  channel: MonitorChannel,
  signal?: AbortSignal,
): MonitorSession & AsyncDisposable {
  const gone = new AbortController();
  const abort = () => {
    gone.abort(signal?.reason);
    channel.close();
  };
  if (signal?.aborted) abort();
  else signal?.addEventListener("abort", abort, { once: true });
  const descriptors = namedDescriptors();
  return {
    signal: gone.signal,
    mayWait: true,
    descriptors,
    takeDescriptor: () => channel.takeDescriptor?.(),
    [Symbol.asyncDispose]() {
      signal?.removeEventListener("abort", abort);
      gone.abort();
      descriptors[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}

function namedDescriptors(): NamedDescriptors {
  const named = new Map<string, number>();
  const take = (name: string) => {
    const descriptor = named.get(name);
    named.delete(name);
    return descriptor;
  };
  return {
    take,
    set(name, descriptor) {
      const old = take(name);
      if (old !== undefined) closeDescriptor(old);
      named.set(name, descriptor);
    },
    [Symbol.dispose]() {
      for (const descriptor of named.values()) closeDescriptor(descriptor);
      named.clear();
    },
  };
}

/** The bytes of a channel, each piece valid until the next; a broken channel is one that ended. */
export async function* readChannel(
  channel: ByteChannel,
): AsyncGenerator<Uint8Array, void, void> {
  const buffer = new Uint8Array(4096);
  for (;;) {
    let count: number | null;
    try {
      count = await channel.read(buffer);
    } catch {
      return;
    }
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}
