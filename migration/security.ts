/** What the parameters ask of TLS, held against the objects before anybody is dialled or let in. */

import type { ObjectRegistry, TlsCreds } from "../creds/mod.ts";
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

const SET_CREDS = "add --tls-creds ID, or type `migrate_set_parameter tls-creds ID`";
