/** The bytes between the library and the channel below, and the call-backs that move them. */

import type { Gnutls } from "./library.ts";
import type { PskKeys, PskLookup } from "./psk.ts";
import { pskLookup } from "./psk.ts";
import { size } from "./symbols.ts";

/** `EAGAIN` as the C library here has it. */
const EAGAIN = Deno.build.os === "linux" ? 11 : 35;

/** First size in bytes of a session's buffers; most sessions never need more. */
const SMALLEST = 4 * 1024;

/** Ciphertext of one session, waiting in either direction. */
export class Transport {
  /** What the channel gave and the library has not taken. */
  input: Uint8Array<ArrayBuffer> = new Uint8Array(SMALLEST);
  start = 0;
  end = 0;
  /** The channel has no more. */
  ended = false;
  /** What the library gave and the channel has not taken. */
  output: Uint8Array<ArrayBuffer> = new Uint8Array(SMALLEST);
  filled = 0;

  constructor(readonly session: Deno.PointerObject, readonly keys: PskKeys | undefined) {}

  /** Makes room behind what is filled. */
  reserve(bytes: number): void {
    const needed = this.filled + bytes;
    if (needed <= this.output.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.output.length));
    larger.set(this.output.subarray(0, this.filled));
    this.output = larger;
  }
}

// The result is an `ssize_t`, in the guise of a pointer for the reason given in symbols.ts.
const PULL = { parameters: ["u32", "pointer", "u32"], result: "pointer" } as const;
const PUSH = PULL;
const PULL_TIMEOUT = { parameters: ["u32", "u32"], result: "i32" } as const;

/**
 * The transports of all sessions and the call-backs that serve them: a session's transport
 * pointer is its number here.
 *
 * The call-backs live as long as the library is loaded, that is, as the process. None of them
 * runs code of a caller, so nothing is disposed of while the library is at work.
 */
export class Transports {
  readonly lookup: PskLookup;
  readonly #lib: Gnutls;
  readonly #pull: Deno.UnsafeCallback<typeof PULL>;
  readonly #push: Deno.UnsafeCallback<typeof PUSH>;
  readonly #pullTimeout: Deno.UnsafeCallback<typeof PULL_TIMEOUT>;
  readonly #slots: (Transport | undefined)[] = [undefined];
  readonly #unused: number[] = [];

  constructor(lib: Gnutls) {
    this.#lib = lib;
    const { memcpy, memcpy_out, gnutls_transport_set_errno } = lib.call;
    const slots = this.#slots;
    // -1 as an ssize_t; made here, since an import must need no permission.
    const failed = Deno.UnsafePointer.create(2n ** 64n - 1n);
    this.lookup = pskLookup(lib, (number) => slots[number]?.keys);
    this.#pull = new Deno.UnsafeCallback(PULL, (number, into, wanted) => {
      const transport = slots[number];
      if (transport === undefined || into === null) return failed;
      const { start } = transport;
      const bytes = Math.min(wanted, transport.end - start);
      if (bytes === 0) {
        if (transport.ended || wanted === 0) return null;
        gnutls_transport_set_errno(transport.session, EAGAIN);
        return failed;
      }
      const count = size(bytes);
      memcpy(into, transport.input.subarray(start, start + bytes), count);
      transport.start = start + bytes;
      return count;
    });
    this.#push = new Deno.UnsafeCallback(PUSH, (number, from, bytes) => {
      const transport = slots[number];
      if (transport === undefined || from === null) return failed;
      transport.reserve(bytes);
      const count = size(bytes);
      memcpy_out(transport.output.subarray(transport.filled), from, count);
      transport.filled += bytes;
      return count;
    });
    this.#pullTimeout = new Deno.UnsafeCallback(PULL_TIMEOUT, (number) => {
      const transport = slots[number];
      return transport === undefined || transport.start < transport.end || transport.ended ? 1 : 0;
    });
  }

  /** Gives a session its transport. */
  open(session: Deno.PointerObject, keys: PskKeys | undefined): [number, Transport] {
    const transport = new Transport(session, keys);
    const number = this.#unused.pop() ?? this.#slots.length;
    this.#slots[number] = transport;
    const { call } = this.#lib;
    call.gnutls_transport_set_ptr(session, Deno.UnsafePointer.create(BigInt(number)));
    call.gnutls_transport_set_pull_function(session, this.#pull.pointer);
    call.gnutls_transport_set_push_function(session, this.#push.pointer);
    call.gnutls_transport_set_pull_timeout_function(session, this.#pullTimeout.pointer);
    return [number, transport];
  }

  /** Takes the transport back from a session that is gone. */
  close(number: number): void {
    this.#slots[number] = undefined;
    this.#unused.push(number);
  }
}
