/** Decrypted bytes on their way to the reader. */

/**
 * Bytes that may wait for a reader before the raw channel is left unread. What was underway comes
 * on top, about as much again.
 */
const CAPACITY = 256 * 1024;

/** A bounded queue with one reader. */
export interface Inbox {
  /** Whether the writer should hold back. */
  readonly full: boolean;
  /** Takes ownership of a chunk. */
  put(chunk: Uint8Array): void;
  /** Nothing comes any more; what is queued can still be read. */
  end(): void;
  /** As {@linkcode Inbox.end}, but the read behind it rejects. */
  fail(error: unknown): void;
  /** Drops everything; reads give `null`. */
  close(): void;
  /** Moves bytes into the caller's buffer; waits for at least one. */
  read(into: Uint8Array): Promise<number | null>;
}

/** Makes an inbox that says when it has room again. */
export function inbox(onRoom: () => void): Inbox {
  let queue: Uint8Array[] = [];
  let queued = 0;
  let reader: PromiseWithResolvers<number | null> & { readonly into: Uint8Array } | undefined;
  let last: { readonly error?: unknown } | undefined;

  function finish(how: { readonly error?: unknown }): void {
    if (last !== undefined) return;
    last = how;
    if (reader === undefined) return;
    if ("error" in how) reader.reject(how.error);
    else reader.resolve(null);
    reader = undefined;
  }

  function take(into: Uint8Array): number {
    let done = 0;
    while (done < into.length && queue.length > 0) {
      const rest = copy(queue[0]!, into, done);
      done += queue[0]!.length - rest.length;
      if (rest.length === 0) queue.shift();
      else queue[0] = rest;
    }
    queued -= done;
    if (queued < CAPACITY) onRoom();
    return done;
  }

  return {
    get full() {
      return queued >= CAPACITY || last !== undefined;
    },
    put(chunk) {
      if (last !== undefined) return;
      let rest = chunk;
      if (reader !== undefined) {
        rest = copy(chunk, reader.into, 0);
        reader.resolve(chunk.length - rest.length);
        reader = undefined;
      }
      if (rest.length === 0) return;
      queue.push(rest);
      queued += rest.length;
    },
    end: () => finish({}),
    fail: (error) => finish({ error }),
    close() {
      queue = [];
      queued = 0;
      finish({});
      last = {};
    },
    read(into) {
      if (queued > 0) return Promise.resolve(take(into));
      if (last !== undefined) {
        return "error" in last ? Promise.reject(last.error) : Promise.resolve(null);
      }
      reader = { into, ...Promise.withResolvers<number | null>() };
      return reader.promise;
    },
  };
}

/** Copies what fits and gives what is left. */
function copy(chunk: Uint8Array, into: Uint8Array, offset: number): Uint8Array {
  const room = into.length - offset;
  if (chunk.length <= room) {
    into.set(chunk, offset);
    return chunk.subarray(chunk.length);
  }
  into.set(chunk.subarray(0, room), offset);
  return chunk.subarray(room);
}
