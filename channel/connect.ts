/** Dialling. */

import { unlessAborted } from "../base/mod.ts";
import { familyOf, literalFamily, resolveName, wrongFamily } from "./_family.ts";
import { type Address, checkAddress, type TcpAddress, unixName } from "./address.ts";
import { ChannelError, kernelReason } from "./error.ts";
import { type SocketChannel, socketChannel, type SocketOptions } from "./socket.ts";

/** Longest time in ms that a connection may take to come up unless the caller says otherwise. */
export const CONNECT_TIMEOUT = 30_000;

/** How to dial. */
export interface ConnectOptions extends SocketOptions {
  readonly signal?: AbortSignal;
  /** Longest time in ms; {@linkcode CONNECT_TIMEOUT} by default. */
  readonly timeout?: number;
}

/**
 * Connects to an address. A name is tried at every address it has.
 *
 * @throws {ChannelError} `CONNECT_FAILED` If nobody answers there or not in time,
 * `ADDRESS_UNRESOLVED` if the name is unknown; the reason of the signal if it aborts.
 */
export async function connect(
  address: Address,
  options: ConnectOptions = {},
): Promise<SocketChannel> {
  checkAddress(address);
  options.signal?.throwIfAborted();
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), options.timeout ?? CONNECT_TIMEOUT);
  const signal = options.signal ? AbortSignal.any([late.signal, options.signal]) : late.signal;
  try {
    const conn = await dialUntil(address, signal);
    return socketChannel(conn, address.kind === "unix" ? address.path : "", options);
  } catch (error) {
    if (options.signal?.aborted) throw options.signal.reason;
    throw connectError(address, late.signal.aborted ? "Connection timed out" : error);
  } finally {
    clearTimeout(timer);
  }
}

/** Dials; a connection that comes up after the abort is closed. */
async function dialUntil(address: Address, signal: AbortSignal): Promise<Deno.Conn> {
  const dialling = dial(address, signal);
  try {
    return await unlessAborted(dialling, signal);
  } catch (error) {
    dialling.then((conn) => conn.close(), () => {});
    throw error;
  }
}

async function dial(address: Address, signal: AbortSignal): Promise<Deno.Conn> {
  if (address.kind === "unix") {
    return await Deno.connect({ transport: "unix", path: address.path });
  }
  if (address.host === "") throw new Error("Name or service not known");
  const hostname = await resolveFamily(address);
  return await Deno.connect({ hostname, port: address.port, signal });
}

/** Narrows a host to the address family that is allowed; Deno tries both otherwise. */
async function resolveFamily(address: TcpAddress): Promise<string> {
  const family = familyOf(address);
  if (family === undefined) return address.host;
  const literal = literalFamily(address.host);
  if (literal === undefined) return await resolveName(address.host, family);
  // An IPv4 address is reached through IPv6 (AI_V4MAPPED), as QEMU does.
  if (literal > family) throw wrongFamily(address, family);
  return address.host;
}

function connectError(address: Address, error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable || error instanceof ChannelError) return error;
  const cause = kernelReason(error);
  const peer = address.kind === "unix" ? unixName(address.path) : `${address.host}:${address.port}`;
  const options = { cause: error };
  if (/Name or service|name resolution|No address associated|nodename/.test(cause)) {
    const hint = `\`getent hosts ${address.kind === "tcp" ? address.host : ""}\` shows whether ` +
      "this host knows the name";
    return new ChannelError("ADDRESS_UNRESOLVED", { peer, cause, hint }, options);
  }
  const hint = connectHint(address, error);
  return new ChannelError(
    "CONNECT_FAILED",
    { peer, cause, ...(hint === undefined ? {} : { hint }) },
    options,
  );
}

function connectHint(address: Address, error: unknown): string | undefined {
  const what = address.kind === "unix" ? unixName(address.path) : `port ${address.port}`;
  if (error instanceof Deno.errors.ConnectionRefused) {
    return address.kind === "unix"
      ? `nobody listens there; \`ss -lx src ${what}\` shows who does`
      : `start the other side first; \`ss -ltn\` on ${address.host} shows whether it has ${what}`;
  }
  if (error instanceof Deno.errors.NotFound) return "start the listening side first";
  if (error instanceof Deno.errors.PermissionDenied) return `see \`ls -l ${what}\``;
  if (typeof error === "string") return "a firewall may drop the packets on their way";
  return undefined;
}
