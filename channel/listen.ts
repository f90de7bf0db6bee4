/** Listening. */

import { unlessAborted } from "../base/mod.ts";
import { parseIpAddress } from "../creds/mod.ts";
import { EADDRINUSE, ENOENT, SystemError } from "../os/mod.ts";
import { familyOf, literalFamily, resolveName, wrongFamily } from "./_family.ts";
import {
  type Address,
  checkAddress,
  formatHostPort,
  type TcpAddress,
  type UnixAddress,
} from "./address.ts";
import { ChannelError, kernelReason } from "./error.ts";
import { type SocketChannel, socketChannel, type SocketOptions } from "./socket.ts";

/** A socket that waits for connections. */
export interface Listener extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: Address;
  /**
   * Takes the next connection; one caller at a time.
   *
   * @throws {ChannelError} `CHANNEL_CLOSED` If the listener is or gets closed, `ACCEPT_FAILED` if
   * the kernel refuses; the reason of the signal if it aborts, which loses no connection.
   */
  accept(signal?: AbortSignal): Promise<SocketChannel>;
  /** Stops; a unix socket's file is gone then. */
  close(): void;
}

/**
 * Listens on an address. The file of a dead unix socket is taken over, a live one is not.
 *
 * @example A free port
 * ```ts
 * import { connect, listen } from "@virtcreds/virtcreds/channel";
 * import { assertEquals } from "@std/assert";
 *
 * await using listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
 * await using client = await connect(listener.address);
 * await using server = await listener.accept();
 * await client.write(Uint8Array.of(1, 2, 3));
 * assertEquals(await server.read(new Uint8Array(16)), 3);
 * ```
 *
 * @throws {ChannelError} `LISTEN_FAILED` If the address is in use, not ours or not permitted,
 * `ADDRESS_UNRESOLVED` if the name is unknown or has no address of an allowed family,
 * `ADDRESS_INVALID` if it is every address of IPv6 without IPv4.
 */
export async function listen(
  address: Address,
  options: SocketOptions = {},
): Promise<Listener> {
  checkAddress(address);
  if (address.kind === "tcp") {
    const listener = await bindTcp(address);
    const { hostname, port } = listener.addr;
    return wrap(listener, { kind: "tcp", host: hostname, port }, options);
  }
  return wrap(await bindUnix(address), address, options);
}

async function bindTcp(address: TcpAddress): Promise<Deno.TcpListener> {
  const last = address.to ?? address.port;
  const hostname = await resolveHost(address);
  for (let port = address.port;; port++) {
    try {
      return bindPort(hostname, port);
    } catch (error) {
      if (error instanceof Deno.errors.AddrInUse && port < last) continue;
      throw tcpError(address, error);
    }
  }
}

/** The address to bind, of the family that is allowed; empty for every address. */
async function resolveHost(address: TcpAddress): Promise<string> {
  const { host } = address;
  const family = familyOf(address);
  if (family === undefined) return host;
  if (host === "" && family === 4) return "0.0.0.0";
  if (family === 6 && isEvery(host)) {
    // QEMU sets IPV6_V6ONLY, which Deno cannot.
    throw new ChannelError("ADDRESS_INVALID", {
      value: formatHostPort({ host: "::", port: address.port }),
      cause: "listening on every IPv6 address takes in IPv4 too, which is switched off",
      hint: [
        "name one address, such as ::1 or one that `ip -6 -brief address` lists",
        "to listen on both, leave ipv4= and ipv6= out",
      ],
    });
  }
  const literal = literalFamily(host);
  if (literal !== undefined && literal !== family) throw wrongFamily(address, family);
  try {
    return literal === undefined ? await resolveName(host, family) : host;
  } catch (error) {
    throw tcpError(address, error);
  }
}

function isEvery(host: string): boolean {
  return host === "" ||
    (literalFamily(host) === 6 && parseIpAddress(host)?.every((octet) => octet === 0) === true);
}

function bindPort(hostname: string, port: number): Deno.TcpListener {
  if (hostname !== "") return Deno.listen({ hostname, port });
  try {
    return Deno.listen({ hostname: "::", port });
  } catch (error) {
    // A kernel without IPv6.
    if (error instanceof Deno.errors.AddrInUse) throw error;
    return Deno.listen({ hostname: "0.0.0.0", port });
  }
}

/**
 * Sockets that are closed and whose accept is not over yet: Deno removes the file at the path once
 * more then, whosever it is by that time.
 */
const ending = new Map<string, Promise<unknown>>();

function removeSocketFile(path: string, accepting: Promise<unknown>): void {
  const end = accepting.then(() => {}, () => {}).finally(() => {
    if (ending.get(path) === end) ending.delete(path);
  });
  ending.set(path, end);
  try {
    Deno.removeSync(path);
  } catch { /* It is gone, or its folder is closed to us by now. */ }
}

async function bindUnix(address: UnixAddress): Promise<Deno.UnixListener> {
  const { path } = address;
  await ending.get(path);
  const bind = () => Deno.listen({ transport: "unix", path });
  try {
    return bind();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse) || !await isDeadSocket(path)) {
      throw unixError(path, error);
    }
  }
  try {
    Deno.removeSync(path);
    return bind();
  } catch (error) {
    throw unixError(path, error);
  }
}

/** Whether nobody listens any more at the path of a unix socket. */
export async function isDeadSocket(path: string): Promise<boolean> {
  try {
    if (!Deno.lstatSync(path).isSocket) return false;
    (await Deno.connect({ transport: "unix", path })).close();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused;
  }
}

function wrap(listener: Deno.Listener, address: Address, options: SocketOptions): Listener {
  const unixPath = address.kind === "unix" ? address.path : "";
  let [closed, busy] = [false, false];
  /** Deno cannot take an accept back: one that was given up waits here for the next caller. */
  let pending: Promise<Deno.Conn> | undefined;

  async function accept(signal?: AbortSignal): Promise<SocketChannel> {
    signal?.throwIfAborted();
    if (closed) throw new ChannelError("CHANNEL_CLOSED");
    if (busy) throw new TypeError("Cannot accept: another accept is pending");
    busy = true;
    const accepting = pending ??= listener.accept();
    accepting.catch(() => {});
    try {
      const conn = await unlessAborted(accepting, signal);
      if (closed) throw new ChannelError("CHANNEL_CLOSED");
      pending = undefined;
      return socketChannel(conn, unixPath, options);
    } catch (error) {
      if (signal?.aborted && error === signal.reason) throw error;
      pending = undefined;
      if (closed) throw new ChannelError("CHANNEL_CLOSED");
      throw new ChannelError("ACCEPT_FAILED", { cause: kernelReason(error) }, { cause: error });
    } finally {
      busy = false;
    }
  }

  const wrapped: Listener = {
    address,
    accept,
    close() {
      if (closed) return;
      closed = true;
      listener.close();
      pending?.then((conn) => conn.close(), () => {});
      // Deno itself leaves the file until the accept under way is over.
      if (pending !== undefined && address.kind === "unix" && !address.path.startsWith("\0")) {
        removeSocketFile(address.path, pending);
      }
    },
    async [Symbol.asyncDispose]() {
      wrapped.close();
      await pending?.then(() => {}, () => {});
    },
  };
  return wrapped;
}

function tcpError(address: TcpAddress, error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable) return error;
  const cause = kernelReason(error);
  const peer = `${address.host}:${address.port}`;
  const options = { cause: error };
  if (error instanceof Deno.errors.AddrInUse) {
    return new ChannelError("LISTEN_FAILED", {
      peer,
      text: `Failed to find an available port: ${cause}`,
      hint: [
        `\`ss -ltnp 'sport = :${address.port}'\` shows who has port ${address.port}`,
        "port 0 takes any free one",
      ],
    }, options);
  }
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return new ChannelError("LISTEN_FAILED", {
      peer,
      cause,
      hint: `${address.host} is not an address of this host; \`ip -brief address\` lists them`,
    }, options);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new ChannelError("LISTEN_FAILED", {
      peer,
      cause,
      hint: "ports below 1024 are for root",
    }, options);
  }
  if (/Name or service|name resolution|No address associated/.test(cause)) {
    return new ChannelError("ADDRESS_UNRESOLVED", {
      peer,
      cause,
      hint: `\`getent hosts ${address.host}\` shows whether this host knows the name`,
    }, options);
  }
  return new ChannelError("LISTEN_FAILED", { peer, cause }, options);
}

/** What the kernel said of a unix socket that cannot be listened on. */
export function unixError(path: string, error: unknown): unknown {
  if (error instanceof Deno.errors.NotCapable) return error;
  const cause = kernelReason(error);
  const errno = error instanceof SystemError ? error.errno : undefined;
  const hint = error instanceof Deno.errors.AddrInUse || errno === EADDRINUSE
    ? `\`ss -lxp src ${path}\` shows who listens there; a file that is no socket is left alone`
    : error instanceof Deno.errors.NotFound || errno === ENOENT
    ? `create its folder first: mkdir -p ${path.replace(/\/[^/]*$/, "") || "/"}`
    : undefined;
  return new ChannelError("LISTEN_FAILED", {
    peer: path,
    text: `Failed to bind socket to ${path}: ${cause}`,
    ...(hint === undefined ? {} : { hint }),
  }, { cause: error });
}
