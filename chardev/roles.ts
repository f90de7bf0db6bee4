/** Who is the TLS client and who the TLS server, and what name is verified. */

import type { TlsOptions } from "../channel/mod.ts";
import { CredsError, type ObjectRegistry, type TlsCreds } from "../creds/mod.ts";
import { leaveOut } from "./_refuse.ts";
import { ChardevError } from "./error.ts";
import type { SocketChardev } from "./kinds.ts";

/** What TLS of a device needs beside the connection. */
export type TlsPlan = Pick<TlsOptions, "creds" | "hostname" | "authorize">;

/**
 * Finds the credentials of a device and the name that its peer must have; nothing for a device
 * without TLS.
 *
 * The TLS role is the endpoint of the credentials, whoever dials (QEMU has no such freedom: its
 * server socket is the TLS server). A TLS client verifies the host that was dialled; where it
 * listens there is none, and `tls-hostname=` must say it.
 *
 * @throws {CredsError} `NO_TLS_CREDS` or `NOT_TLS_CREDS` If there are no such credentials,
 * `WRONG_ENDPOINT` if QEMU would not take them where its options exclude each other as well.
 * @throws {ChardevError} `OPTION` if its options exclude each other, `ROLE` if a listening TLS client does not know whom to expect,
 * `NO_EFFECT` if a TLS server is given a name to verify, or if credentials that look at no
 * certificate are given an authorization, which would let everybody in.
 */
export function planTls(chardev: SocketChardev, objects: ObjectRegistry): TlsPlan | undefined {
  if (chardev.tlsCreds === undefined) return undefined;
  if (chardev.conflict !== undefined) {
    objects.tlsCreds(chardev.tlsCreds, chardev.server ? "server" : "client");
    throw chardev.conflict;
  }
  const creds = findCreds(objects, chardev.tlsCreds, chardev.server);
  if (chardev.tlsAuthz !== undefined) checkAuthorizes(creds);
  const authorize = chardev.tlsAuthz === undefined
    ? {}
    : { authorize: objects.authorization(chardev.tlsAuthz) };
  if (creds.endpoint === "server") {
    if (chardev.tlsHostname !== undefined) {
      throw new ChardevError("NO_EFFECT", {
        option: "tls-hostname",
        cause: "with credentials of endpoint=server",
        hint:
          "the TLS client verifies the name of the TLS server; tls-authz= admits clients by name",
      });
    }
    return { creds, ...authorize };
  }
  const dialled = chardev.server || chardev.address.kind !== "tcp"
    ? undefined
    : chardev.address.host;
  const hostname = chardev.tlsHostname ?? dialled;
  if (hostname !== undefined) return { creds, hostname, ...authorize };
  if (!creds.verifyPeer || creds.kind !== "x509") return { creds, ...authorize };
  throw new ChardevError("ROLE", {
    text: "Expected TLS credentials for a server endpoint",
    hint: [
      `a listening socket is the TLS server for QEMU, gnutls-cli and openssl s_client: make ${creds.id} with endpoint=server`,
      "to be the TLS client of a peer that dials in as TLS server, add tls-hostname=NAME of its certificate",
    ],
  });
}

/**
 * Finds out whether the authorization of a device is missing: QEMU notices at the first peer, and
 * refuses that one and all after it.
 */
export function missingAuthz(
  chardev: SocketChardev,
  objects: ObjectRegistry,
): CredsError | undefined {
  if (chardev.tlsAuthz === undefined) return undefined;
  try {
    objects.authorization(chardev.tlsAuthz).allows("");
    return undefined;
  } catch (error) {
    if (error instanceof CredsError) return error;
    throw error;
  }
}

/** An authorization is asked about the name in a verified certificate, and about nothing else. */
function checkAuthorizes(creds: TlsCreds): void {
  if (creds.kind === "x509" && creds.verifyPeer) return;
  const [cause, mend] = creds.kind === "x509"
    ? ["with verify-peer=off: every peer would be let in", `set verify-peer=on on ${creds.id}`]
    : [
      `with tls-creds-${creds.kind}: it admits by the name in a certificate, and there is none`,
      `make ${creds.id} a tls-creds-x509`,
    ];
  throw new ChardevError("NO_EFFECT", {
    option: "tls-authz",
    cause,
    hint: `${mend}, or ${leaveOut("tls-authz")}`,
  });
}

/** Either endpoint will do; where there is none, the one that goes with the TCP role is advised. */
function findCreds(objects: ObjectRegistry, id: string, server: boolean): TlsCreds {
  try {
    return objects.tlsCreds(id, server ? "server" : "client");
  } catch (error) {
    if (error instanceof CredsError && error.code === "WRONG_ENDPOINT") {
      return objects.tlsCreds(id, server ? "client" : "server");
    }
    throw error;
  }
}
