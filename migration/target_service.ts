/** The destination: listens, verifies who comes, receives one migration at a time. */

import {
  ChannelError,
  listen as listenOn,
  startTls,
  type TlsChannel,
  type Transport,
} from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { type Acceptor, onlyConnection } from "./_acceptor.ts";
import { WaitingRoom } from "./_waiting.ts";
import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";
import { type ReceiveOptions, receiveStream, type Reception } from "./receive.ts";
import { explainHandshake } from "./refusal.ts";
import { targetSecurity } from "./security.ts";
import { discardingSink, fileSink } from "./sink.ts";
import { isSocket, refuseTlsOverFile } from "./transport.ts";

/** ms of rest after the kernel refused to accept. */
const ACCEPT_PAUSE = 200;

/** What happens at a target, in order for each peer. */
export type TargetEvent =
  | { readonly kind: "listening"; readonly address: Transport }
  /** A source came, and its first bytes are there. */
  | { readonly kind: "active"; readonly peer: string; readonly tls?: TlsChannel }
  /** A peer that brought no migration: nothing of it was acted on. */
  | { readonly kind: "refused"; readonly peer: string; readonly error: unknown }
  /** A migration that broke. */
  | { readonly kind: "failed"; readonly peer: string; readonly error: unknown }
  | {
    readonly kind: "completed";
    readonly peer: string;
    readonly tls?: TlsChannel;
    readonly reception: Reception;
  };

/** How a target works. */
export interface TargetOptions extends Omit<ReceiveOptions, "begin" | "signal"> {
  readonly address: Transport;
  readonly objects: ObjectRegistry;
  /** Read anew for each peer. */
  readonly parameters: Readonly<MigrationParameters>;
  /** Where a whole stream is put; verified and dropped without it. */
  readonly file?: string;
  /** Ends with the first failure instead of listening on. */
  readonly once?: boolean;
  /** Goes on after a complete migration. */
  readonly serve?: boolean;
  readonly signal?: AbortSignal;
  /** Longest time of a handshake in ms. */
  readonly handshakeTimeout?: number;
  readonly onEvent?: (event: TargetEvent) => void;
}

/**
 * Runs a target until it has received a migration. A peer that is refused, a stream that breaks
 * and a second source at the same time are told of and change nothing for the next one.
 *
 * @throws {MigrationError} `PARAMETER` if it would let everybody in though it is not to.
 * @throws {ChannelError} `LISTEN_FAILED` if the address cannot be had.
 * @throws {VirtcredsError} With `once`, what went wrong with the first peer.
 */
export async function runTarget(options: TargetOptions): Promise<Reception> {
  refuseOpenDoor(options);
  const { address } = options;
  refuseTlsOverFile(address, options.parameters);
  if (!isSocket(address)) {
    options.signal?.throwIfAborted();
    await using only = await onlyConnection(address);
    // There is no second one: its first failure is the last.
    return await new Target({ ...options, once: true, serve: false }, only).run();
  }
  await using listener = await listenOn(address);
  return await new Target(options, listener).run();
}

class Target {
  readonly #stop = new AbortController();
  readonly #done = Promise.withResolvers<Reception>();
  readonly #peers = new Set<Promise<void>>();
  readonly #waiting = new WaitingRoom();
  #active = false;

  constructor(readonly options: TargetOptions, readonly listener: Acceptor) {}

  async run(): Promise<Reception> {
    const { signal } = this.options;
    const abort = () => this.#done.reject(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    this.options.onEvent?.({ kind: "listening", address: this.listener.address });
    this.#accept().catch((error) => this.#done.reject(error));
    try {
      return await this.#done.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#stop.abort(signal?.reason ?? new MigrationError("ABORTED"));
      // A partial file is gone before the caller goes on.
      await Promise.allSettled(this.#peers);
    }
  }

  async #accept(): Promise<void> {
    for (;;) {
      const channel = await this.#next();
      if (channel === undefined) continue;
      const peer: Promise<void> = this.#meet(channel).finally(() => this.#peers.delete(peer));
      this.#peers.add(peer);
    }
  }

  /** The kernel may be out of descriptors for a while; that is no reason to end. */
  async #next(): Promise<ByteChannel | undefined> {
    try {
      return await this.listener.accept(this.#stop.signal);
    } catch (error) {
      if (!(error instanceof ChannelError) || error.code !== "ACCEPT_FAILED") throw error;
      this.options.onEvent?.({ kind: "refused", peer: "a connection", error });
      await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE));
      return undefined;
    }
  }

  /** One peer, from its connection to its end; never throws. */
  async #meet(raw: ByteChannel): Promise<void> {
    const { peer } = raw;
    const emit = this.options.onEvent ?? (() => {});
    const waiting = this.#waiting.enter(raw);
    let began = false;
    try {
      const { channel, ...tls } = await this.#secure(raw);
      waiting.verified = tls.tls?.verified ?? false;
      const reception = await receiveStream(channel, {
        ...this.options,
        signal: this.#stop.signal,
        begin: () => {
          if (waiting.dropped !== undefined) throw waiting.dropped;
          if (this.#active) throw busy(peer);
          this.#waiting.leave(waiting);
          this.#active = began = true;
          const { file } = this.options;
          const sink = file === undefined ? discardingSink() : fileSink(file);
          emit({ kind: "active", peer, ...tls });
          return sink;
        },
      });
      emit({ kind: "completed", peer, ...tls, reception });
      if (!this.options.serve) this.#done.resolve(reception);
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      const error = waiting.dropped ?? thrown;
      if (this.options.once && !isBystander(error)) this.#done.reject(error);
      else emit({ kind: began ? "failed" : "refused", peer, error });
    } finally {
      this.#waiting.leave(waiting);
      if (began) this.#active = false;
    }
  }

  async #secure(raw: ByteChannel): Promise<{ channel: ByteChannel; tls?: TlsChannel }> {
    const { objects, parameters, handshakeTimeout } = this.options;
    try {
      const security = targetSecurity(parameters, objects);
      if (security === undefined) return { channel: raw };
      const channel = await startTls(raw, {
        ...security,
        ...(handshakeTimeout === undefined ? {} : { timeout: handshakeTimeout }),
        signal: this.#stop.signal,
        // A QEMU without return path never reads, and loses the end of its stream to a ticket.
        noTickets: true,
      }).catch((error) => {
        throw explainHandshake(error, security.creds);
      });
      return { channel, tls: channel };
    } catch (error) {
      raw.close();
      throw error;
    }
  }
}

/** Credentials that are not there refuse each peer, and may come; an open door refuses nobody. */
function refuseOpenDoor({ parameters, objects }: TargetOptions): void {
  try {
    targetSecurity(parameters, objects);
  } catch (error) {
    if (error instanceof MigrationError) throw error;
  }
}

/** Who came in between, or only held a connection, has not failed anybody's migration. */
function isBystander(error: unknown): boolean {
  return error instanceof MigrationError && (error.code === "BUSY" || error.code === "CROWDED");
}

function busy(peer: string): MigrationError {
  return new MigrationError("BUSY", {
    peer,
    hint: "multifd opens more connections: switch the capability multifd off at the source",
  });
}
