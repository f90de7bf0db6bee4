/** The handshake by node:tls. */

import type { Duplex } from "node:stream";
import { connect, createServer, type TLSSocket } from "node:tls";
import { EngineError } from "../error.ts";
import type { SessionFacts } from "../session.ts";
import type { LoadedCredentials } from "./credentials.ts";
import { unprovenBecause } from "./proof.ts";

/** What a handshake is made with. */
export interface HandshakeOptions {
  readonly credentials: LoadedCredentials;
  readonly serverName?: string;
  readonly noTickets?: boolean;
  readonly timeout: number;
}

/**
 * Starts a handshake; nobody is refused in it, that is `creds`' part.
 *
 * @param attach Takes the socket before a decrypted byte can come.
 * @throws {EngineError} `ENGINE_UNSUPPORTED` If a server of TLS 1.3 alone is to send no ticket.
 */
export function secure(
  stream: Duplex,
  options: HandshakeOptions,
  attach: (socket: TLSSocket) => void,
): Promise<TLSSocket> {
  return options.credentials.endpoint === "client"
    ? secureClient(stream, options, attach)
    : secureServer(stream, options, attach);
}

function secureClient(
  stream: Duplex,
  { credentials, serverName }: HandshakeOptions,
  attach: (socket: TLSSocket) => void,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: stream,
      secureContext: credentials.context,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(serverName === undefined ? {} : { servername: serverName }),
    });
    socket.on("error", reject);
    attach(socket);
    socket.once("secureConnect", () => resolve(socket));
  });
}

function secureServer(
  stream: Duplex,
  { credentials, noTickets, timeout }: HandshakeOptions,
  attach: (socket: TLSSocket) => void,
): Promise<TLSSocket> {
  if (noTickets && credentials.versions.minVersion === "TLSv1.3") {
    throw new EngineError("ENGINE_UNSUPPORTED", {
      value: "platform",
      option: "TLS 1.3 without session tickets",
      hint: "install libgnutls30 and use --engine gnutls, or let the priority have TLS 1.2",
    });
  }
  return new Promise((resolve, reject) => {
    const server = createServer({
      ...credentials.identity,
      ...credentials.versions,
      // A server of TLS 1.3 always sends two tickets; one of TLS 1.2 within the handshake only.
      ...(noTickets ? { maxVersion: "TLSv1.2" } : {}),
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: timeout,
    });
    server.on("secureConnection", (socket) => {
      attach(socket);
      resolve(socket);
    });
    server.on("tlsClientError", (error) => reject(error));
    server.emit("connection", stream);
  });
}

/**
 * Reads what was negotiated.
 *
 * @throws {EngineError} `TLS_HANDSHAKE` If the peer has not proven to hold its certificate's key.
 */
export function readFacts(socket: TLSSocket, peer: string): SessionFacts {
  const protocol = socket.getProtocol();
  const peerChain = readChain(socket);
  const unproven = peerChain[0] && unprovenBecause(peerChain[0]);
  if (unproven !== undefined) {
    throw new EngineError("TLS_HANDSHAKE", {
      peer,
      cause: `the peer's certificate proves nothing: ${unproven}`,
      hint: "issue it again with `deno task ca issue`, or use --engine gnutls",
    });
  }
  return {
    version: protocol === "TLSv1.3" ? "TLS1.3" : "TLS1.2",
    cipher: socket.getCipher().standardName,
    peerChain,
  };
}

function readChain(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let certificate = socket.getPeerCertificate(true);
  // A self-signed certificate at the end is its own issuer.
  while (certificate?.raw !== undefined) {
    chain.push(new Uint8Array(certificate.raw));
    if (certificate.issuerCertificate === certificate) break;
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
