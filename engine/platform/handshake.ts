/** The handshake by node:tls. */

import type { Duplex } from "node:stream";
import { connect, TLSSocket } from "node:tls";
import { EngineError } from "../error.ts";
import type { SessionFacts } from "../session.ts";
import type { LoadedCredentials } from "./credentials.ts";
import { unprovenBecause } from "./proof.ts";
import { TERMINATED } from "./reason.ts";

/** What a handshake is made with. */
export interface HandshakeOptions {
  readonly credentials: LoadedCredentials;
  readonly serverName?: string;
  readonly noTickets?: boolean;
}

/**
 * Starts a handshake; nobody is refused in it, that is `creds`' part, and it has no time limit.
 *
 * @param attach Takes the socket before a decrypted byte can come.
 * @throws {EngineError} `ENGINE_UNSUPPORTED` If a server of TLS 1.3 alone is to send no ticket.
 */
export function secure(
  stream: Duplex,
  { credentials, serverName, noTickets = false }: HandshakeOptions,
  attach: (socket: TLSSocket) => void,
): Promise<TLSSocket> {
  const secureContext = credentials.context(noTickets);
  return new Promise((resolve, reject) => {
    const socket = credentials.endpoint === "client"
      ? connect({
        socket: stream,
        secureContext,
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
        ...(serverName === undefined ? {} : { servername: serverName }),
      })
      // Not by a `tls.Server`: after a failure its timer keeps the socket until the time limit.
      : new TLSSocket(stream, {
        isServer: true,
        secureContext,
        requestCert: true,
        rejectUnauthorized: false,
      });
    attach(socket);
    socket.once("secure", () => resolve(socket));
    socket.once("error", reject);
    // A socket without a `tls.Server` keeps its errors to this event.
    socket.once("_tlsError", reject);
    socket.once("close", () => reject(new Error(TERMINATED)));
  });
}

/**
 * Reads what was negotiated.
 *
 * @throws {EngineError} `TLS_HANDSHAKE` If the peer has not proven to hold its certificate's key.
 */
export function readFacts(socket: TLSSocket, peer: string): SessionFacts {
  const peerChain = readChain(socket, peer);
  const unproven = peerChain[0] && unprovenBecause(peerChain[0]);
  if (unproven !== undefined) {
    throw new EngineError("TLS_HANDSHAKE", {
      peer,
      cause: `the peer's certificate proves nothing: ${unproven}`,
      hint: "issue it again with `deno task ca issue`, or use --engine gnutls",
    });
  }
  return {
    version: socket.getProtocol() === "TLSv1.3" ? "TLS1.3" : "TLS1.2",
    cipher: socket.getCipher().standardName,
    peerChain,
  };
}

function readChain(socket: TLSSocket, peer: string): Uint8Array[] {
  const chain: Uint8Array[] = [];
  try {
    let certificate = socket.getPeerCertificate(true);
    while (certificate?.raw !== undefined) {
      chain.push(new Uint8Array(certificate.raw));
      // A self-signed certificate at the end is its own issuer.
      if (certificate.issuerCertificate === certificate) break;
      certificate = certificate.issuerCertificate;
    }
  } catch (error) {
    const cause = "the peer's certificates cannot be read";
    throw new EngineError("TLS_HANDSHAKE", { peer, cause }, { cause: error });
  }
  return chain;
}
