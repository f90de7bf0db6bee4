/** Pairs of connected channels for tests, and channels that behave badly within the contract. */

import { connect, listen } from "../../channel/mod.ts";
import type { ByteChannel } from "../../engine/mod.ts";
import { temporaryDirectory } from "./temp.ts";

/** Two ends of one connection. */
export type ChannelPair = readonly [ByteChannel, ByteChannel];

/** What a direction of an in-memory pair holds before its writer has to wait, in bytes. */
export const PAIR_CAPACITY = 64 * 1024;

/** Two channels in memory that behave like a socket pair with small buffers. */
export function pair(capacity = PAIR_CAPACITY): ChannelPair {
  const [there, back] = [pipe(capacity), pipe(capacity)];
  const end = (name: string, input: Pipe, output: Pipe): ByteChannel => {
    const channel: ByteChannel = {
      peer: `memory:${name}`,
      read: (into) => input.read(into),
      write: (bytes) => output.write(bytes),
      closeWrite: () => Promise.resolve(output.end()),
      close() {
        input.stop();
        output.end();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(channel.close()),
    };
    return channel;
  };
  return [end("b", back, there), end("a", there, back)];
}

interface Pipe {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /** No more comes from the writer. */
  end(): void;
  /** The reader is gone. */
  stop(): void;
}

function pipe(capacity: number): Pipe {
  const queue: Uint8Array[] = [];
  let [held, ended, stopped] = [0, false, false];
  let wake = Promise.withResolvers<void>();
  const changed = () => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  return {
    async read(into) {
      while (held === 0 && !ended && !stopped) await wake.promise;
      if (stopped || held === 0) return null;
      let done = 0;
      while (done < into.length && queue.length > 0) {
        const part = queue[0]!.subarray(0, into.length - done);
        into.set(part, done);
        done += part.length;
        if (part.length === queue[0]!.length) queue.shift();
        else queue[0] = queue[0]!.subarray(part.length);
      }
      held -= done;
      changed();
      return done;
    },
    async write(bytes) {
      for (let offset = 0; offset < bytes.length;) {
        while (held >= capacity && !ended && !stopped) await wake.promise;
        if (ended) throw new Error("this end is closed");
        if (stopped) throw new Error("the other end is closed");
        const part = bytes.slice(offset, offset + capacity - held);
        queue.push(part);
        held += part.length;
        offset += part.length;
        changed();
      }
    },
    end() {
      ended = true;
      changed();
    },
    stop() {
      stopped = true;
      changed();
    },
  };
}

/** The same channel, delivering one byte for each read. */
export function oneByte(channel: ByteChannel): ByteChannel {
  return { ...channel, read: (into) => channel.read(into.subarray(0, 1)) };
}

/** A dialled TCP connection on loopback and the accepted end of it. */
export async function tcpPair(): Promise<ChannelPair> {
  await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  return await Promise.all([connect(listener.address), listener.accept()]);
}

/** A dialled unix connection and the accepted end of it. */
export async function unixPair(): Promise<ChannelPair> {
  using folder = temporaryDirectory();
  await using listener = await listen({ kind: "unix", path: `${folder.path}/s` });
  return await Promise.all([connect(listener.address), listener.accept()]);
}

/** Every kind of pair, by name. */
export const PAIRS: Readonly<Record<string, () => ChannelPair | Promise<ChannelPair>>> = {
  "tcp": tcpPair,
  "unix": unixPair,
  "memory": pair,
  "one byte at a time": () => {
    const [a, b] = pair();
    return [oneByte(a), oneByte(b)];
  },
};

/** Reads exactly so many bytes. */
export async function readExactly(channel: ByteChannel, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const count = await channel.read(bytes.subarray(done));
    if (count === null) throw new Error(`the end came after ${done} of ${length} bytes`);
    done += count;
  }
  return bytes;
}

/** Reads to the end. */
export async function readToEnd(channel: ByteChannel): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(64 * 1024);
    const count = await channel.read(buffer);
    if (count === null) return new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
    parts.push(buffer.subarray(0, count));
  }
}
