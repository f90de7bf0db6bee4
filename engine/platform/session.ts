/** TLS sessions by node:tls on any byte channel. */

import { nextTick } from "node:process";
import type { TLSSocket } from "node:tls";
import type { ByteChannel } from "../byte_channel.ts";
import { EngineError } from "../error.ts";
import { HANDSHAKE_TIMEOUT, type SessionOptions, type TlsSession } from "../session.ts";
import { loadedCredentials } from "./credentials.ts";
import { readFacts, secure } from "./handshake.ts";
import { inbox } from "./inbox.ts";
import { reason, TERMINATED } from "./reason.ts";
import { transport } from "./transport.ts";

/**
 * Makes the handshake.
 *
 * @throws {EngineError} `TLS_HANDSHAKE`, `TLS_TIMEOUT`; the reason of the signal if it aborts.
 */
export async function openSession(raw: ByteChannel, options: SessionOptions): Promise<TlsSession> {
  const { peer } = raw;
  const { signal, timeout = HANDSHAKE_TIMEOUT } = options;
  const incoming = inbox(() => below.resume());
  const handshake = Promise.withResolvers<never>();
  handshake.promise.catch(() => {});
  let socket: TLSSocket | undefined;
  let writer: ((error: EngineError) => void) | undefined;
  let failure: unknown;
  let closedCleanly: boolean | undefined;
  let [closed, writeEnded] = [false, false];

  const below = transport(raw, {
    wanted: () => !incoming.full,
    ended: () => handshake.reject(new Error(TERMINATED)),
    broken: fail,
  });

  function fail(error: unknown): void {
    failure ??= error;
    handshake.reject(error);
    incoming.fail(tlsError("TLS_READ", error));
    writer?.(tlsError("TLS_WRITE", error));
    release();
  }

  function tlsError(code: "TLS_HANDSHAKE" | "TLS_READ" | "TLS_WRITE", error: unknown): EngineError {
    return new EngineError(code, { peer, cause: reason(error) }, { cause: error });
  }

  function release(): void {
    raw.close();
    // Not at once: a socket that is destroyed before its first tick is never freed.
    nextTick(() => {
      socket?.destroy();
      below.stream.destroy();
    });
  }

  function attach(fresh: TLSSocket): void {
    socket = fresh;
    fresh.on("error", fail);
    fresh.on("_tlsError", fail);
    fresh.on("data", incoming.put);
    fresh.on("end", () => {
      closedCleanly = !below.ended;
      incoming.end();
    });
  }

  async function establish(): Promise<TLSSocket> {
    const credentials = loadedCredentials(options.credentials);
    const limit = setTimeout(() => {
      handshake.reject(new EngineError("TLS_TIMEOUT", { peer, value: `${timeout / 1000} s` }));
    }, timeout);
    const abort = () => handshake.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      signal?.throwIfAborted();
      return await Promise.race([
        secure(below.stream, { ...options, credentials }, attach),
        handshake.promise,
      ]);
    } catch (error) {
      if (signal?.aborted || error instanceof EngineError) throw error;
      throw tlsError("TLS_HANDSHAKE", error);
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener("abort", abort);
    }
  }

  try {
    const tls = await establish();
    const facts = readFacts(tls, peer);
    const session: TlsSession = {
      peer,
      facts,
      verifyPeer: () => undefined,
      get closedCleanly() {
        return closedCleanly;
      },
      read: incoming.read,
      async write(bytes) {
        if (closed || writeEnded) throw new EngineError("TLS_CLOSED");
        if (failure !== undefined) throw tlsError("TLS_WRITE", failure);
        if (bytes.length === 0) return;
        const written = Promise.withResolvers<void>();
        writer = written.reject;
        tls.write(bytes, (error) => {
          if (error) written.reject(tlsError("TLS_WRITE", failure ?? error));
          else written.resolve();
        });
        await written.promise;
        writer = undefined;
      },
      async closeWrite() {
        if (closed || writeEnded || failure !== undefined) return;
        writeEnded = true;
        await new Promise<void>((resolve) => tls.end(resolve));
        await below.flushed();
      },
      close() {
        if (closed) return;
        closed = true;
        incoming.close();
        writer?.(new EngineError("TLS_CLOSED"));
        release();
      },
      [Symbol.asyncDispose]() {
        session.close();
        return Promise.resolve();
      },
    };
    return session;
  } catch (error) {
    release();
    throw error;
  }
}
