/** Which options of a socket QEMU does not take together, in the order of its checks. */

import type { ParsedOptions } from "./_qemu_opts.ts";
import type { ChardevError } from "./error.ts";
import { KEEP_ONE, leaveOut, NEEDS_TLS, refuse } from "./_refuse.ts";

/** Where a socket leads to: at most one of path, fd and host. */
export function checkPlace(given: ParsedOptions): void {
  const { text } = given;
  const places = ["path", "fd", "host"].filter((name) => given.string(name) !== undefined);
  if (places.length > 1) {
    throw refuse(text, "None or one of 'path', 'fd' or 'host' option required.", KEEP_ONE);
  }
  if (places[0] === "host" && given.string("port") === undefined) {
    throw refuse(text, "chardev: socket: no port given", "add port=N");
  }
  if (given.bool("delay") !== undefined && given.bool("nodelay") !== undefined) {
    throw refuse(text, "'delay' and 'nodelay' are mutually exclusive", KEEP_ONE);
  }
  if (given.number("reconnect") !== undefined && given.number("reconnect-ms") !== undefined) {
    throw refuse(text, "'reconnect' and 'reconnect-ms' are mutually exclusive", KEEP_ONE);
  }
}

/** Finds what cannot go together; QEMU looks for credentials before it does. */
export function findConflict(given: ParsedOptions): ChardevError | undefined {
  const { text } = given;
  const server = given.bool("server") ?? false;
  const tls = given.string("tls-creds") !== undefined;
  const reconnect = ["reconnect", "reconnect-ms"].find((n) => given.number(n) !== undefined);
  const unix = given.string("path") !== undefined;
  // A socket that leads nowhere is a descriptor without a number.
  const fd = !unix && given.string("host") === undefined;
  if (fd && reconnect !== undefined) {
    return refuse(
      text,
      `'${reconnect}' option is incompatible with 'fd' address type`,
      leaveOut(reconnect),
    );
  }
  if (fd && tls && !server) {
    return refuse(
      text,
      "'tls_creds' option is incompatible with 'fd' address type as client",
      "a client with TLS needs host=, the name that it verifies",
    );
  }
  if (unix && tls) {
    return refuse(
      text,
      "'tls_creds' option is incompatible with 'unix' address type",
      "TLS needs host= and port=; a unix socket is protected by the mode of its folder",
    );
  }
  if (given.string("tls-authz") !== undefined && !tls) {
    return refuse(text, "'tls_authz' option requires 'tls_creds' option", NEEDS_TLS);
  }
  if (given.string("tls-hostname") !== undefined && !tls) {
    return refuse(text, "'tls-hostname' option requires 'tls-creds' option", NEEDS_TLS);
  }
  if (server) {
    if (reconnect !== undefined) {
      return refuse(
        text,
        `'${reconnect}' option is incompatible with socket in server listen mode`,
        leaveOut(reconnect),
      );
    }
    return undefined;
  }
  if (given.bool("websocket")) {
    return refuse(text, "Websocket client is not implemented", leaveOut("websocket"));
  }
  if (given.bool("wait") !== undefined) {
    return refuse(
      text,
      "'wait' option is incompatible with socket in client connect mode",
      "wait= is for server=on",
    );
  }
  return undefined;
}
