/** The source: dials, starts TLS in the client's role, sends. */

import {
  type Address,
  type CommandChannel,
  commandFailed,
  connect,
  descriptorChannel,
  startCommand,
  startTls,
  type TlsChannel,
  type Transport,
} from "../channel/mod.ts";
import { pause, unlessAborted } from "../base/mod.ts";
import type { ObjectRegistry, TlsCreds } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import { MigrationError } from "./error.ts";
import { multifdInit } from "./multifd_packet.ts";
import { channelLost, flushesByWord, MultifdWriter } from "./multifd_writer.ts";
import type { MigrationParameters } from "./parameters.ts";
import { explainHandshake } from "./refusal.ts";
import { sendToFile } from "./send_to_file.ts";
import { sourceCredentials } from "./security.ts";
import { type Sending, type SendOptions, sendStream } from "./send.ts";
import { SectionType } from "./stream_constants.ts";
import type { SendContext, StreamSource } from "./stream_file.ts";
import { descriptorNumber, isSocket, refuseTlsOverFile } from "./transport.ts";
import { NO_UUID } from "./uuid.ts";

/** ms in which the answer arrives that a command gave before it failed. */
const LAST_ANSWER = 1_000;
/** ms of waiting for an answer behind which it is said that none may come. */
const PATIENCE = 3_000;

/** How a source works. */
export interface SourceOptions extends Omit<SendOptions, "wasReset"> {
  readonly address: Transport;
  readonly objects: ObjectRegistry;
  readonly parameters: Readonly<MigrationParameters>;
  readonly capabilities?: Readonly<MigrationCapabilities>;
  readonly source: StreamSource;
  /** UUID of the guest, which a QEMU holds against its own `-uuid`; the source's by default. */
  readonly uuid?: string;
  /** Longest time of a handshake in ms. */
  readonly handshakeTimeout?: number;
  /** ms for an answer before {@linkcode SourceOptions.onUnanswered}; 3 s by default. */
  readonly patience?: number;
  /** Called when a command or a descriptor takes long to answer, which many never do. */
  readonly onUnanswered?: () => void;
  /** Called when the connection stands, verified where TLS is on. */
  readonly onConnected?: (peer: string, tls: TlsChannel | undefined) => void;
  /** Called with the new name of an earlier file that `file:` has named. */
  readonly onSetAside?: (file: string) => void;
  /** Called with a file that `file:` has named, and from which byte on a failure has spoilt it. */
  readonly onSpoilt?: (file: string, offset: number) => void;
}

/**
 * Sends a stream to a destination: QEMU's or ours.
 *
 * @throws {ChannelError} `CONNECT_FAILED`, `COMMAND_FAILED` of a command that ends with a failure.
 * @throws {EngineError} `TLS_HANDSHAKE`.
 * @throws {CredsError} If the destination is not who it should be, or there are no such credentials.
 * @throws {MigrationError} `PARAMETER` if it is to be verified without TLS, `PEER_CLOSED`,
 * `PEER_FAILED` if it refuses or breaks off.
 */
export async function runSource(options: SourceOptions): Promise<Sending> {
  const { address, objects, parameters, signal } = options;
  const creds = sourceCredentials(parameters, objects);
  refuseTlsOverFile(address, parameters);
  if (options.capabilities?.multifd && !isSocket(address)) {
    throw new MigrationError("REFUSED", {
      text: "multifd is not supported by current protocol",
      hint: "multifd dials several connections: tcp:HOST:PORT or unix:PATH",
    });
  }
  if (address.kind === "file") {
    return await sendToFile(address, options.source, { ...options, context: contextOf(options) });
  }
  if (address.kind === "fd") {
    const channel = descriptorChannel(descriptorNumber(address), `fd:${address.name}`);
    if (!channel.isAnswered && (creds !== undefined || options.source.returnPath)) {
      channel.close();
      throw unanswered(channel.peer, creds);
    }
    return await sendOver(channel, creds, options);
  }
  if (address.kind === "exec") {
    signal?.throwIfAborted();
    await using command = startCommand(address);
    const sending = await sendToCommand(command, creds, options);
    // What it still does with the bytes, into a file or over a link, belongs to the migration.
    const ended = unlessAborted(command.exit, signal);
    // Where the destination has said that it has the guest, it must not go on here as well.
    if (sending.acknowledged === "shut") return await ended.then(() => sending, () => sending);
    const code = await ended;
    if (code !== 0) throw commandFailed(command.peer, code);
    return sending.acknowledged === "unknown" ? { ...sending, acknowledged: "closed" } : sending;
  }
  const raw = await connect(address, signal === undefined ? {} : { signal });
  return await sendOver(raw, creds, options);
}

/** A command that has failed gives no answer, though what it has started may hold its output. */
async function sendToCommand(
  command: CommandChannel,
  creds: TlsCreds | undefined,
  options: SourceOptions,
): Promise<Sending> {
  const [failed, done] = [new AbortController(), new AbortController()];
  command.exit.then(async (code) => {
    if (code === 0) return;
    await pause(LAST_ANSWER, done.signal);
    failed.abort(commandFailed(command.peer, code));
  }).catch(() => {});
  const { signal } = options;
  const signals = signal === undefined ? [failed.signal] : [signal, failed.signal];
  try {
    return await sendOver(command, creds, { ...options, signal: AbortSignal.any(signals) });
  } finally {
    done.abort();
  }
}

function unanswered(peer: string, creds: TlsCreds | undefined): MigrationError {
  const why = creds === undefined ? "this guest awaits an answer" : "TLS makes a handshake";
  return new MigrationError("REFUSED", {
    text: `${peer} is a file or one way of a pipe, which answers nothing, and ${why}`,
    hint: [
      "a socket answers: 7<>/dev/tcp/HOST/PORT in bash, or a listening tcp: or unix:",
      ...(creds === undefined ? ["file:PATH saves a guest without an answer"] : []),
    ],
  });
}

async function sendOver(
  raw: ByteChannel,
  creds: TlsCreds | undefined,
  options: SourceOptions,
): Promise<Sending> {
  const { address, capabilities } = options;
  const { channel, tls } = await secure(raw, creds, options);
  options.onConnected?.(channel.peer, tls);
  const multifd = capabilities?.multifd
    ? await dialChannels(creds, options).catch((error) => {
      channel.close();
      throw error;
    })
    : undefined;
  const wasReset = () => resetShows(channel, tls !== undefined);
  let late: ReturnType<typeof setTimeout> | undefined;
  const onSent = () => {
    options.onSent?.();
    if (isSocket(address)) return;
    late = setTimeout(() => options.onUnanswered?.(), options.patience ?? PATIENCE);
  };
  return await sendStream(channel, options.source, {
    ...options,
    onSent,
    ...(address.kind === "tcp" ? { wasReset } : {}),
    context: { ...contextOf(options), ...(multifd === undefined ? {} : { multifd }) },
  }).finally(() => clearTimeout(late));
}

function contextOf({ parameters, capabilities, context }: SourceOptions): SendContext {
  return { parameters, ...(capabilities === undefined ? {} : { capabilities }), ...context };
}

interface Secured {
  readonly channel: ByteChannel;
  readonly tls?: TlsChannel;
}

async function secure(
  raw: ByteChannel,
  creds: TlsCreds | undefined,
  { address, parameters, signal, handshakeTimeout }: SourceOptions,
): Promise<Secured> {
  if (creds === undefined) return { channel: raw };
  const hostname = checkedName(parameters["tls-hostname"], address);
  const tls = await startTls(raw, {
    creds,
    ...(hostname === undefined ? {} : { hostname }),
    ...(handshakeTimeout === undefined ? {} : { timeout: handshakeTimeout }),
    ...(signal === undefined ? {} : { signal }),
  }).catch((error) => {
    throw explainHandshake(error, creds);
  });
  return { channel: tls, tls };
}

/** A QEMU takes the first connection for the main one: these come when that one stands. */
async function dialChannels(
  creds: TlsCreds | undefined,
  options: SourceOptions,
): Promise<MultifdWriter> {
  const { address, parameters, source, signal } = options;
  const { uuid = source.uuid ?? NO_UUID } = options;
  const compression = parameters["multifd-compression"];
  const channels: ByteChannel[] = [];
  try {
    while (channels.length < parameters["multifd-channels"]) {
      const raw = await connect(address as Address, signal === undefined ? {} : { signal });
      const { channel } = await secure(raw, creds, options);
      channels.push(channel);
      const id = channels.length - 1;
      // A QEMU waits for it and shakes no other hand meanwhile.
      await channel.write(multifdInit({ uuid, channel: id })).catch((error) => {
        throw channelLost(channel, id, error);
      });
    }
  } catch (error) {
    for (const channel of channels) channel.close();
    throw error;
  }
  return new MultifdWriter(channels, {
    channels: channels.length,
    compression,
    level: parameters[compression === "zstd" ? "multifd-zstd-level" : "multifd-zlib-level"],
    zeroPages: parameters["zero-page-detection"] === "multifd",
    flushWord: flushesByWord(source.machine),
  });
}

/**
 * Whether a TCP connection whose other end was seen is dead. Only a write tells: the goodbye of
 * TLS, or one byte behind the end marker, which every destination ignores.
 */
export async function resetShows(channel: ByteChannel, secured: boolean): Promise<boolean> {
  try {
    if (secured) await channel.closeWrite();
    else await channel.write(Uint8Array.of(SectionType.QEMU_VM_EOF));
    return false;
  } catch {
    return true;
  }
}

/**
 * What the destination's certificate is checked against: the parameter, else the host as it
 * stands in the address; other transports have none, and verification says so.
 */
export function checkedName(parameter: string, address: Transport): string | undefined {
  return parameter !== "" ? parameter : address.kind === "tcp" ? address.host : undefined;
}
