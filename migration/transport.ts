/** What each transport asks of a migration over it. */

import type { Address, DescriptorAddress, Transport } from "../channel/mod.ts";
import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";

/** Whether a transport is a socket, that others can dial or listen on too. */
export function isSocket(address: Transport): address is Address {
  return address.kind === "tcp" || address.kind === "unix";
}

/**
 * The number of a descriptor.
 *
 * @throws {MigrationError} `REFUSED` in QEMU's words if it has only a name, which nobody gave it.
 */
export function descriptorNumber({ name, number }: DescriptorAddress): number {
  if (number !== undefined) return number;
  if (/^\d+$/.test(name)) return Number(name);
  throw new MigrationError("REFUSED", {
    text: `File descriptor named '${name}' has not been found`,
    hint:
      "a name is given by getfd, over a QMP connection on a unix socket; fd:NUMBER is inherited",
  });
}

/**
 * Refuses TLS where nobody is at the other end to make a handshake with.
 *
 * @throws {MigrationError} `PARAMETER` if it is asked for.
 */
export function refuseTlsOverFile(
  address: Transport,
  parameters: Readonly<MigrationParameters>,
): void {
  if (address.kind !== "file" || parameters["tls-creds"] === "") return;
  throw new MigrationError("PARAMETER", {
    option: "tls-creds",
    text: "tls-creds cannot be used with file:, for a file makes no handshake",
    hint: "leave --tls-creds out; the file has a guest's memory in plain, and mode 0600",
  });
}
