/** Who is the TLS client and who the TLS server, and what name is verified. */

import type { TlsOptions } from "../channel/mod.ts";
import { CredsError, type ObjectRegistry, type TlsCreds } from "../creds/mod.ts";
import { ChardevError } from "./error.ts";
import type { SocketChardev } from "./options.ts";

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
 * @throws {CredsError} `NO_TLS_CREDS` or `NOT_TLS_CREDS` If there are no such credentials.
 * @throws {ChardevError} `ROLE` if a listening TLS client does not know whom to expect,
 * `NO_EFFECT` if a TLS server is given a name to verify.
 */
export function planTls(chardev: SocketChardev, objects: ObjectRegistry): TlsPlan | undefined {
  if (chardev.tlsCreds === undefined) return undefined;
  const creds = findCreds(objects, chardev.tlsCreds);
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

function findCreds(objects: ObjectRegistry, id: string): TlsCreds {
  try {
    return objects.tlsCreds(id, "server");
  } catch (error) {
    if (error instanceof CredsError && error.code === "WRONG_ENDPOINT") {
      return objects.tlsCreds(id, "client");
    }
    throw error;
  }
}
