/** The destination: listens, verifies who comes, receives one migration at a time. */

import {
  ChannelError,
  formatTransport,
  listen as listenOn,
  MAX_UNPROVED,
  startTls,
  type TlsChannel,
  type Transport,
  type Waiting,
  WaitingRoom,
} from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { type Acceptor, onlyConnection } from "./_acceptor.ts";
import { firstBytes, pushedBack, sourceOf } from "./_first_bytes.ts";
import { MultifdGathering } from "./_multifd_gather.ts";
import { type Silent, UrgentConnections } from "./_urgent_pages.ts";
import { MigrationError, MULTIFD_HINTS } from "./error.ts";
import { guestMemory } from "./guest_memory.ts";
import { MULTIFD_INIT_BYTES, type MultifdCompression, readMultifdInit } from "./multifd_packet.ts";
import { discardingPages, type PageSink, plainStream } from "./page_sink.ts";
import type { MigrationParameters } from "./parameters.ts";
import { type ReceiveOptions, receiveStream, type Reception } from "./receive.ts";
import { receivePages } from "./receive_pages.ts";
import { explainHandshake } from "./refusal.ts";
import { targetSecurity } from "./security.ts";
import { discardingSink, fileSink, type StreamSink } from "./sink.ts";
import { MULTIFD_MAGIC, QEMU_VM_FILE_MAGIC, SectionType } from "./stream_constants.ts";
import { isSocket, refuseTlsOverFile } from "./transport.ts";

/** ms of rest after the kernel refused to accept. */
const ACCEPT_PAUSE = 200;

/** What happens at a target, in order for each peer. */
export type TargetEvent =
  | { readonly kind: "listening"; readonly address: Transport }
  /** An earlier guest has made room for a new one, and is in this file now. */
  | { readonly kind: "set aside"; readonly file: string }
  /** The main connection of a source came, and not all of its channels are there yet. */
  | { readonly kind: "gathering"; readonly peer: string; readonly channels: number }
  /** A source came, and its first bytes are there. */
  | { readonly kind: "active"; readonly peer: string; readonly tls?: TlsChannel }
  /** A peer that brought no migration: nothing of it was acted on. */
  | { readonly kind: "refused"; readonly peer: string; readonly error: unknown }
  /** A command of `exec:` that has given a whole stream, and then failed. */
  | { readonly kind: "command failed"; readonly peer: string; readonly code: number }
  /** A migration that broke. */
  | { readonly kind: "failed"; readonly peer: string; readonly error: unknown }
  | {
    readonly kind: "completed";
    readonly peer: string;
    readonly tls?: TlsChannel;
    readonly reception: Reception;
    /** SHA-256 of each block of memory, by its name, where a guest is kept. */
    readonly digests?: ReadonlyMap<string, string>;
  };

/** How pages come on several channels. */
export interface TargetMultifd {
  /** Connections beside the main one. */
  readonly channels: number;
  readonly compression: MultifdCompression;
}

/** How a target works. */
export interface TargetOptions extends Omit<ReceiveOptions, "begin" | "signal"> {
  readonly address: Transport;
  readonly objects: ObjectRegistry;
  /** Read anew for each peer. */
  readonly parameters: Readonly<MigrationParameters>;
  /** Where a whole stream is put; verified and dropped without it. */
  readonly file?: string;
  /** Replaces an earlier guest in that file; it is kept beside the new one otherwise. */
  readonly replace?: boolean;
  /** Bytes of memory of a guest that is kept, instead of a file. */
  readonly guestRam?: number;
  /** Where pages come on several channels, read anew for each peer. */
  readonly multifd?: () => TargetMultifd | undefined;
  /** Whether a source may switch to post-copy, read anew for each peer. */
  readonly postcopy?: () => boolean;
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
    const reception = await new Target({ ...options, once: true, serve: false }, only).run();
    const code = await only.failure();
    if (code !== undefined) {
      options.onEvent?.({ kind: "command failed", peer: formatTransport(address), code });
    }
    return reception;
  }
  await using listener = await listenOn(address);
  return await new Target(options, listener).run();
}

interface Received {
  readonly reception: Reception;
  readonly digests?: ReadonlyMap<string, string>;
}

class Target {
  readonly #stop = new AbortController();
  readonly #done = Promise.withResolvers<Reception>();
  readonly #peers = new Set<Promise<void>>();
  readonly #waiting: WaitingRoom;
  readonly #gathering: MultifdGathering | undefined;
  readonly #compression: MultifdCompression;
  readonly #urgent = new UrgentConnections();
  #active = false;

  constructor(readonly options: TargetOptions, readonly listener: Acceptor) {
    const multifd = options.multifd?.();
    this.#compression = multifd?.compression ?? "none";
    this.#gathering = multifd === undefined
      ? undefined
      : new MultifdGathering(multifd.channels, options.idleTimeout);
    this.#waiting = new WaitingRoom(MAX_UNPROVED + (multifd?.channels ?? 0));
  }

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
      this.#gathering?.[Symbol.dispose]();
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
    const silent = this.#urgent.enter();
    let began = false;
    try {
      const { channel, ...tls } = await this.#secure(raw);
      waiting.verified = tls.tls?.verified ?? false;
      const begin = <S>(open: () => S): S => {
        if (waiting.dropped !== undefined) throw waiting.dropped;
        if (this.#active) throw busy(peer);
        this.#waiting.leave(waiting);
        this.#urgent.leave(silent);
        this.#active = began = true;
        const sink = open();
        emit({ kind: "active", peer, ...tls });
        return sink;
      };
      const received = await this.#receive(channel, tls.tls, { waiting, silent }, begin);
      // A channel of multifd: its migration is another connection's.
      if (received === undefined) return;
      emit({ kind: "completed", peer, ...tls, ...received });
      if (!this.options.serve) this.#done.resolve(received.reception);
    } catch (thrown) {
      if (this.#stop.signal.aborted) return;
      const error = waiting.dropped ?? thrown;
      if (this.options.once && !isBystander(error)) this.#done.reject(error);
      else emit({ kind: began ? "failed" : "refused", peer, error });
    } finally {
      this.#waiting.leave(waiting);
      this.#urgent.leave(silent);
      if (began) this.#active = false;
    }
  }

  async #receive(
    channel: ByteChannel,
    tls: TlsChannel | undefined,
    { waiting, silent }: { readonly waiting: Waiting; readonly silent: Silent },
    begin: <S>(open: () => S) => S,
  ): Promise<Received | undefined> {
    const { file, guestRam } = this.options;
    const options = { ...this.options, signal: this.#stop.signal };
    const postcopy = this.options.postcopy?.() ?? false;
    if (this.#gathering === undefined && guestRam === undefined && !postcopy) {
      const reception = await receiveStream(channel, {
        ...options,
        begin: () => begin(() => file === undefined ? discardingSink() : this.#fileSink(file)),
      });
      return { reception };
    }
    const source = sourceOf(channel, tls);
    const maySleep = () => this.#urgent.belongs(source);
    const first = await this.#urgent.silence(
      silent,
      source,
      channel,
      () => firstBytes(channel, 4, { ...options, maySleep }),
    );
    if (first === undefined) return undefined;
    const word = new DataView(first.buffer).getUint32(0);
    const gathering = this.#gathering;
    if (gathering !== undefined && word === MULTIFD_MAGIC) {
      const rest = await firstBytes(channel, MULTIFD_INIT_BYTES - 4, options);
      const init = new Uint8Array(MULTIFD_INIT_BYTES);
      init.set(first);
      init.set(rest, 4);
      try {
        gathering.join(source, readMultifdInit(init), channel);
        this.#waiting.leave(waiting);
      } catch (error) {
        channel.close();
        throw error;
      }
      return undefined;
    }
    if (first[0] === SectionType.QEMU_VM_COMMAND) {
      channel.close();
      throw resumed();
    }
    const main = pushedBack(channel, first);
    if (word !== QEMU_VM_FILE_MAGIC && maySleep() && this.#urgent.join(silent, main)) {
      this.#waiting.leave(waiting);
      return undefined;
    }
    const channels = await this.#channelsOf(source, main);
    const guest = guestRam === undefined ? undefined : guestMemory(guestRam);
    let began = false;
    const reception = await receivePages(main, {
      ...options,
      channels,
      compression: this.#compression,
      ...(postcopy ? { urgent: this.#urgent } : {}),
      begin: () => {
        try {
          const sink = begin(() => guest ?? this.#pageSink());
          if (postcopy) this.#urgent.begin(source);
          began = postcopy;
          return sink;
        } catch (error) {
          for (const one of channels) one.close();
          throw error;
        }
      },
    }).finally(() => {
      if (began) this.#urgent.end();
    });
    return guest === undefined ? { reception } : { reception, digests: await guest.digests() };
  }

  async #channelsOf(source: string, main: ByteChannel): Promise<readonly ByteChannel[]> {
    const gathering = this.#gathering;
    if (gathering === undefined) return [];
    if (!gathering.isWhole(source)) {
      const { count: channels } = gathering;
      this.options.onEvent?.({ kind: "gathering", peer: main.peer, channels });
    }
    try {
      return await gathering.take(source);
    } catch (error) {
      main.close();
      throw error;
    }
  }

  #pageSink(): PageSink {
    const { file } = this.options;
    return file === undefined ? discardingPages() : plainStream(this.#fileSink(file));
  }

  #fileSink(file: string): StreamSink {
    const { replace, onEvent } = this.options;
    return fileSink(file, {
      ...(replace === undefined ? {} : { replace }),
      onSetAside: (name) => onEvent?.({ kind: "set aside", file: name }),
    });
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
  return error instanceof MigrationError && error.code === "BUSY" ||
    error instanceof ChannelError && error.code === "CROWDED";
}

/** The error of a source that goes on with a command: its stream has begun on another connection. */
function resumed(): MigrationError {
  return new MigrationError("STREAM_UNSUPPORTED", {
    cause: "its source resumes a post-copy migration",
    offset: 0,
    hint: "recovery of post-copy is not supported here: the guest stays stopped at the source",
  });
}

function busy(peer: string): MigrationError {
  return new MigrationError("BUSY", { peer, hint: MULTIFD_HINTS });
}
