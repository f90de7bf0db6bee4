/** What `query-chardev` calls a socket, as QEMU's `qemu_chr_compute_filename` writes it. */

import { formatHostPort } from "../channel/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import type { ChardevServer } from "./serve.ts";
import type { SocketChardev } from "./kinds.ts";

/**
 * Writes the name of a socket that has no connection: `disconnected:tcp:127.0.0.1:7001,server=on`.
 *
 * @param listening Where a server really listens.
 */
export function disconnectedName(
  { protocol, address, server }: Pick<SocketChardev, "protocol" | "address" | "server">,
  listening: ChardevServer["address"] = address,
): string {
  return `disconnected:${placeName(protocol, listening, server)}`;
}

/**
 * Writes the name of a connection: `tcp:127.0.0.1:7001,server=on <-> 127.0.0.1:60470`.
 *
 * A connection through a unix socket is named by the path of a server alone, one from a descriptor
 * by what it is.
 *
 * @param place Where a server really listens.
 */
export function connectedName(
  { protocol, address, server }: Pick<SocketChardev, "protocol" | "address" | "server">,
  channel: Pick<ChardevChannel, "peer" | "local">,
  place: ChardevServer["address"] = address,
): string {
  if (place.kind === "unix") {
    // QEMU prints the name of its own end as C does, which a client has not and NUL ends.
    const own = server && !place.path.startsWith("\0") ? place.path : "";
    return `unix:${own}${server ? ",server=on" : ""}`;
  }
  const here = channel.local ?? (place.kind === "tcp" ? formatHostPort(place) : "unix:");
  if (here.startsWith("unix:")) return `${here}${server ? ",server=on" : ""}`;
  return `${protocol}:${here}${server ? ",server=on" : ""} <-> ${channel.peer}`;
}

function placeName(
  protocol: string,
  address: ChardevServer["address"],
  server: boolean,
): string {
  const mode = server ? ",server=on" : "";
  switch (address.kind) {
    case "tcp":
      // An IPv6 address has brackets in the name of a connection alone.
      return `${protocol}:${address.host}:${address.port}${mode}`;
    case "fd":
      return `fd:${address.fd}${mode}`;
    case "unix":
      return address.path.startsWith("\0")
        ? `unix:${address.path.slice(1).replace(/\0+$/, "")},abstract=on${
          address.path.endsWith("\0") ? "" : ",tight=on"
        }${mode}`
        : `unix:${address.path}${mode}`;
  }
}
