/** A byte channel over a socket of Deno. */

import type { ByteChannel } from "../engine/mod.ts";
import { formatHostPort, formatUnix } from "./address.ts";
import { ChannelError, kernelReason } from "./error.ts";

/** How a socket is set up. */
export interface SocketOptions {
  /** Sends small writes at once (TCP_NODELAY), `true` by default: Nagle holds them back otherwise. */
  readonly noDelay?: boolean;
  /** Finds out that a silent peer is gone (SO_KEEPALIVE); `false` by default. */
  readonly keepAlive?: boolean;
}

/** A connected TCP or unix socket. */
export interface SocketChannel extends ByteChannel {
  /** This end in words, as {@linkcode ByteChannel.peer} names the other. */
  readonly local: string;
}

/**
 * Takes over a connection: from here on only the channel may read, write or close it.
 *
 * @param unixPath What to call the ends of a unix socket that have no name of their own.
 */
export function socketChannel(
  conn: Deno.Conn,
  unixPath = "",
  { noDelay = true, keepAlive = false }: SocketOptions = {},
): SocketChannel {
  const peer = describe(conn.remoteAddr, unixPath);
  let closed = false;
  // Small writes are what TLS handshakes and consoles consist of.
  if (conn.remoteAddr.transport === "tcp") {
    (conn as Deno.TcpConn).setNoDelay(noDelay);
    if (keepAlive) (conn as Deno.TcpConn).setKeepAlive(true);
  }

  function broken(code: "CHANNEL_READ" | "CHANNEL_WRITE", error: unknown): unknown {
    if (closed) return new ChannelError("CHANNEL_CLOSED", { peer });
    return new ChannelError(code, { peer, cause: kernelReason(error) }, { cause: error });
  }

  function readFailed(error: unknown): null {
    if (closed) return null;
    throw broken("CHANNEL_READ", error);
  }

  const channel: SocketChannel = {
    peer,
    local: describe(conn.localAddr, unixPath),
    read: (into) => closed ? Promise.resolve(null) : conn.read(into).catch(readFailed),
    async write(bytes) {
      if (closed) throw new ChannelError("CHANNEL_CLOSED", { peer });
      try {
        let done = 0;
        while (done < bytes.length) {
          done += await conn.write(done === 0 ? bytes : bytes.subarray(done));
        }
      } catch (error) {
        throw broken("CHANNEL_WRITE", error);
      }
    },
    async closeWrite() {
      if (closed) return;
      try {
        await conn.closeWrite();
      } catch (error) {
        // A peer that is gone already needs no goodbye.
        if (closed || error instanceof Deno.errors.NotConnected) return;
        throw broken("CHANNEL_WRITE", error);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      conn.close();
    },
    [Symbol.asyncDispose]() {
      channel.close();
      return Promise.resolve();
    },
  };
  return channel;
}

function describe(address: Deno.Addr, unixPath: string): string {
  if (address.transport === "tcp" || address.transport === "udp") {
    return formatHostPort({ host: address.hostname, port: address.port });
  }
  const path = ("path" in address && address.path) || unixPath;
  return formatUnix(path);
}
