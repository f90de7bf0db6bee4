/**
 * Between two hosts that cannot reach each other: one migration is received and sent on while it
 * comes, TLS ended and begun anew, every byte of it unchanged. Multifd and post-copy pass too.
 */

import {
  type Address,
  connect,
  formatAddress,
  listen as listenOn,
  startTls,
  type TlsChannel,
} from "../channel/mod.ts";
import { unlessLate, VirtcredsError } from "../base/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { readBy, sourceOf } from "./_first_bytes.ts";
import { pump } from "./_pump.ts";
import { watchChannel } from "./_watch.ts";
import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";
import { IDLE_TIMEOUT } from "./receive.ts";
import { explainHandshake } from "./refusal.ts";
import { sourceCredentials, targetSecurity } from "./security.ts";
import { checkedName } from "./source_service.ts";
import { beginState, endState, type MigrationState, setStatus } from "./state.ts";
import { readStream } from "./stream_reader.ts";
import type { StreamSummary } from "./stream_summary.ts";

/** ms that a further connection may take to its first bytes before it is dialled on all the same. */
const FIRST_BYTES = 500;
/** ms that a connection waits for the handshakes of those that came before it. */
const IN_ORDER = 1000;
/** Connections of one migration; multifd has at most 255 beside the main one. */
const MAX_CONNECTIONS = 300;

/** What happens at a relay. */
export type RelayEvent =
  | { readonly kind: "listening"; readonly address: Address }
  | { readonly kind: "connected"; readonly peer: string; readonly onward: string }
  | { readonly kind: "refused"; readonly peer: string; readonly error: unknown };

/** How a relay works. */
export interface RelayOptions {
  /** Where the source comes to. */
  readonly incoming: Address;
  /** Where the destination listens. */
  readonly onward: Address;
  readonly objects: ObjectRegistry;
  /** Of the incoming side: `tls-creds`, `tls-authz`. */
  readonly parameters: Readonly<MigrationParameters>;
  /** Of the onward side: `tls-creds`, `tls-hostname`. */
  readonly onwardParameters: Readonly<MigrationParameters>;
  /** Longest silence in ms of all connections together. */
  readonly idleTimeout?: number;
  readonly signal?: AbortSignal;
  /** Kept up to date from the source's coming on: `setup` until the destination is dialled. */
  readonly state?: MigrationState;
  /** Called for each piece, with the bytes of all connections so far. */
  readonly onProgress?: (bytes: number) => void;
  readonly onEvent?: (event: RelayEvent) => void;
}

/** A migration that went through. */
export interface Relayed {
  /** Bytes towards the destination, over all connections. */
  readonly bytes: number;
  readonly connections: number;
  /** ms. */
  readonly elapsed: number;
  /** What went over the main connection. */
  readonly summary: StreamSummary;
}

/**
 * Relays one migration.
 *
 * @throws {MigrationError} If it broke; both ends have been told by then.
 * @throws {ChannelError} `LISTEN_FAILED`, `CONNECT_FAILED`.
 */
export async function runRelay(options: RelayOptions): Promise<Relayed> {
  // What would refuse every source, or let everybody in, is told before there is one.
  targetSecurity(options.parameters, options.objects);
  refuseNameless(options);
  await using listener = await listenOn(options.incoming);
  options.onEvent?.({ kind: "listening", address: listener.address as Address });
  return await new Relay(options, (signal) => listener.accept(signal)).run();
}

/** Refuses an address without a host where the destination's name is to be verified. */
function refuseNameless({ onward, onwardParameters, objects }: RelayOptions): void {
  const creds = sourceCredentials(onwardParameters, objects);
  if (creds?.kind !== "x509" || !creds.verifyPeer) return;
  if (checkedName(onwardParameters["tls-hostname"], onward) !== undefined) return;
  throw new MigrationError("PARAMETER", {
    option: "tls-hostname",
    text: `${formatAddress(onward)} has no host whose name could be verified`,
    hint: "add --tls-hostname NAME, as it stands in the destination's certificate",
  });
}

/** Says on which side it went wrong. */
function towards(onward: Address, error: unknown): unknown {
  if (!(error instanceof VirtcredsError)) return error;
  const hint = error.hints.length > 0 ? error.hints : "the destination must wait there before";
  const text = `towards ${formatAddress(onward)}: ${error.message}`;
  return new MigrationError("PEER_FAILED", { text, hint }, { cause: error });
}

class Relay {
  readonly #stop = new AbortController();
  readonly #done = Promise.withResolvers<Relayed>();
  readonly #open = new Set<ByteChannel>();
  readonly #pairs = new Set<Promise<void>>();
  /** One dials after the other: a QEMU takes the first one for the main one. */
  #dialling: Promise<unknown> = Promise.resolve();
  /** Settles when it is known what the last connection is for. */
  #deciding: Promise<void> = Promise.resolve();
  #source: string | undefined;
  #bytes = 0;
  #connections = 0;
  #start = 0;
  readonly #reader = readStream({ multifd: true, postcopy: true });

  constructor(
    readonly options: RelayOptions,
    readonly accept: (signal: AbortSignal) => Promise<ByteChannel>,
  ) {}

  async run(): Promise<Relayed> {
    const { state, signal } = this.options;
    try {
      const relayed = await this.#run();
      if (state !== undefined) {
        state.pages = relayed.summary.pages;
        endState(state, "completed");
      }
      return relayed;
    } catch (error) {
      // Without a source there was no migration that could fail.
      if (state !== undefined && this.#start > 0) {
        endState(state, signal?.aborted ? "cancelled" : "failed", messageOf(error));
      }
      throw error;
    }
  }

  async #run(): Promise<Relayed> {
    const { signal, idleTimeout = IDLE_TIMEOUT } = this.options;
    using watch = watchChannel({ peer: "the migration", close: () => this.#end() }, {
      idleTimeout,
      ...(signal === undefined ? {} : { signal }),
    });
    this.#touch = () => this.#source === undefined ? watch.pause(false) : watch.touch();
    // Nobody is late who has not come yet.
    const waiting = setInterval(this.#touch, Math.min(1000, idleTimeout / 4));
    this.#accept().catch((error) => this.#done.reject(error));
    try {
      return await this.#done.promise;
    } catch (error) {
      throw watch.cause ?? error;
    } finally {
      clearInterval(waiting);
      this.#end();
      await Promise.allSettled(this.#pairs);
    }
  }

  #touch: () => void = () => {};

  #end(): void {
    this.#stop.abort();
    this.#done.reject(new MigrationError("ABORTED"));
    for (const channel of this.#open) channel.close();
  }

  async #accept(): Promise<void> {
    for (;;) {
      const raw = await this.accept(this.#stop.signal);
      const pair: Promise<void> = this.#meet(raw).finally(() => this.#pairs.delete(pair));
      this.#pairs.add(pair);
    }
  }

  /** One connection, from its first byte to its last; never throws. */
  async #meet(raw: ByteChannel): Promise<void> {
    let [isMain, isOurs] = [false, false];
    const before = this.#deciding;
    const decided = Promise.withResolvers<void>();
    this.#deciding = decided.promise;
    try {
      this.#open.add(raw);
      const { channel, tls } = await this.#secure(raw);
      // The first one that came is the main one, whichever handshake was over first.
      await unlessLate(before, IN_ORDER);
      const source = sourceOf(channel, tls);
      isMain = this.#source === undefined;
      this.#source ??= source;
      decided.resolve();
      if (this.#source !== source || this.#connections >= MAX_CONNECTIONS) {
        channel.close();
        throw new MigrationError("BUSY", { peer: raw.peer });
      }
      this.#connections++;
      isOurs = true;
      if (isMain) await this.#main(channel);
      else await this.#beside(channel);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      // Whoever was refused has changed nothing.
      if (isOurs) this.#done.reject(error);
      else this.options.onEvent?.({ kind: "refused", peer: raw.peer, error });
    } finally {
      decided.resolve();
      this.#open.delete(raw);
      raw.close();
    }
  }

  async #main(channel: ByteChannel): Promise<void> {
    const { state } = this.options;
    this.#start = performance.now();
    if (state !== undefined) beginState(state, "setup");
    const dialled = this.#dial();
    this.#dialling = dialled.catch(() => {});
    const onward = await dialled;
    if (state !== undefined) setStatus(state, "active");
    this.options.onEvent?.({ kind: "connected", peer: channel.peer, onward: onward.peer });
    const read: ByteChannel["read"] = async (into) => {
      try {
        return await channel.read(into);
      } catch (error) {
        // A source that has the answer it waited for leaves, and a reset may tell us first.
        if (!this.#reader.complete) throw error;
        return null;
      }
    };
    await this.#join(readBy(channel, read), onward, (bytes) => {
      this.#reader.push(bytes);
      while (this.#reader.held) this.#reader.resume();
    });
    const summary = this.#reader.complete ? this.#reader.summary() : this.#reader.end();
    this.#done.resolve({
      bytes: this.#bytes,
      connections: this.#connections,
      elapsed: performance.now() - this.#start,
      summary,
    });
  }

  /** A channel of multifd, whose first message a destination waits for, or one of post-copy. */
  async #beside(channel: ByteChannel): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    const reading = channel.read(buffer);
    reading.catch(() => {});
    const early = await unlessLate(reading, FIRST_BYTES);
    if (early === null) return channel.close();
    const turn = this.#dialling.then(async () => {
      const onward = await this.#dial();
      if (early === undefined) return onward;
      await onward.write(buffer.subarray(0, early));
      this.#count(early);
      return onward;
    });
    this.#dialling = turn.catch(() => {});
    const onward = await turn;
    if (early !== undefined) return await this.#join(channel, onward);
    await this.#join(readBy(channel, lateRead(reading, buffer, channel)), onward);
  }

  /** Both directions, until both have ended or one broke. */
  async #join(
    source: ByteChannel,
    onward: ByteChannel,
    look: (bytes: Uint8Array) => void = () => {},
  ): Promise<void> {
    try {
      await Promise.all([
        pump(source, onward, (bytes) => {
          this.#count(bytes.length);
          look(bytes);
        }),
        pump(onward, source, () => this.#touch()).catch((error) => {
          // A source that has said all and left is not there for the answer's end.
          if (!this.#reader.complete) throw error;
        }),
      ]);
    } finally {
      source.close();
      onward.close();
      this.#open.delete(onward);
    }
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.options.state !== undefined) this.options.state.bytes = this.#bytes;
    this.#touch();
    this.options.onProgress?.(this.#bytes);
  }

  async #dial(): Promise<ByteChannel> {
    try {
      return await this.#dialOnward();
    } catch (error) {
      throw towards(this.options.onward, error);
    }
  }

  async #dialOnward(): Promise<ByteChannel> {
    const { onward, objects, onwardParameters } = this.options;
    const { signal } = this.#stop;
    const creds = sourceCredentials(onwardParameters, objects);
    const raw = await connect(onward, { signal });
    this.#open.add(raw);
    if (creds === undefined) return raw;
    const hostname = checkedName(onwardParameters["tls-hostname"], onward);
    return await startTls(raw, {
      creds,
      signal,
      ...(hostname === undefined ? {} : { hostname }),
    }).catch((error) => {
      throw explainHandshake(error, creds);
    });
  }

  async #secure(raw: ByteChannel): Promise<{ channel: ByteChannel; tls?: TlsChannel }> {
    const security = targetSecurity(this.options.parameters, this.options.objects);
    if (security === undefined) return { channel: raw };
    const tls = await startTls(raw, { ...security, signal: this.#stop.signal, noTickets: true })
      .catch((error) => {
        throw explainHandshake(error, security.creds);
      });
    return { channel: tls, tls };
  }
}

/** Reads of a channel of which one read is under way already, into a buffer of ours. */
function lateRead(
  reading: Promise<number | null>,
  buffer: Uint8Array,
  channel: ByteChannel,
): ByteChannel["read"] {
  let first: Promise<number | null> | undefined = reading;
  let [from, until] = [0, 0];
  return async (into) => {
    if (first !== undefined) {
      until = await first ?? -1;
      first = undefined;
    }
    if (until < 0) return null;
    if (from === until) return await channel.read(into);
    const count = Math.min(into.length, until - from);
    into.set(buffer.subarray(from, from + count));
    from += count;
    return count;
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
