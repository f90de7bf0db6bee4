/** What the parameters ask of TLS, held against the objects before anybody is dialled or let in. */

import type { Authorization, ObjectRegistry, TlsCreds } from "../creds/mod.ts";
import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";

/**
 * Finds the credentials of a source; none for a plain migration.
 *
 * QEMU ignores a `tls-hostname` without `tls-creds` and sends the guest in plain. Who names the
 * other side wants it verified, so here that is an error.
 *
 * @throws {MigrationError} `PARAMETER` if a name is to be verified without TLS.
 * @throws {CredsError} If there are no such credentials for a client.
 */
export function sourceCredentials(
  parameters: Readonly<MigrationParameters>,
  objects: ObjectRegistry,
): TlsCreds | undefined {
  const id = parameters["tls-creds"];
  if (id !== "") return objects.tlsCreds(id, "client");
  if (parameters["tls-hostname"] === "") return undefined;
  throw new MigrationError("PARAMETER", {
    option: "tls-hostname",
    text: "tls-hostname is verified over TLS only, and without tls-creds the guest goes in plain",
    hint: SET_CREDS,
  });
}

/** How a target secures its connections. */
export interface TargetSecurity {
  readonly creds: TlsCreds;
  readonly authorize?: Authorization;
}

/**
 * Finds what a target secures its connections with; nothing for plain ones.
 *
 * An authorization that nobody would be asked of (QEMU passes over it) admits everybody, so it is
 * an error here.
 *
 * @throws {MigrationError} `PARAMETER` if `tls-authz` could never decide on anybody.
 * @throws {CredsError} If there are no such credentials for a server.
 */
export function targetSecurity(
  parameters: Readonly<MigrationParameters>,
  objects: ObjectRegistry,
): TargetSecurity | undefined {
  const { "tls-creds": id, "tls-authz": authz } = parameters;
  if (id === "" && authz === "") return undefined;
  if (id === "") {
    throw authzError(
      "tls-authz decides on who comes over TLS, and without tls-creds everybody may come in plain",
      SET_CREDS,
    );
  }
  const creds = objects.tlsCreds(id, "server");
  if (authz === "") return { creds };
  const { kind, verifyPeer } = creds;
  if (kind === "x509" && verifyPeer) return { creds, authorize: objects.authorization(authz) };
  const why = kind === "x509"
    ? "is made with verify-peer=off"
    : `is tls-creds-${kind}, without certificates`;
  throw authzError(
    `tls-authz decides on the name in a verified certificate, and '${id}' ${why}: everybody would come in`,
    kind === "x509"
      ? `drop verify-peer=off from '${id}', or drop tls-authz`
      : `use --object tls-creds-x509,id=${id},dir=DIR,endpoint=server, or drop tls-authz`,
  );
}

function authzError(text: string, hint: string): MigrationError {
  return new MigrationError("PARAMETER", { option: "tls-authz", text, hint });
}

const SET_CREDS = "add --tls-creds ID, or type `migrate_set_parameter tls-creds ID`";
