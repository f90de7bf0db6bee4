/** Which options QEMU does not take together, in the order of its checks. */

import { printable } from "../base/mod.ts";
import { OTHER_BACKENDS } from "./_option_table.ts";
import type { ParsedOptions } from "./_qemu_opts.ts";
import { KEEP_ONE, leaveOut, NEEDS_TLS, refuse } from "./_refuse.ts";
import { ChardevError } from "./error.ts";

/** The back end: a socket. */
export function checkBackend(given: ParsedOptions, text: string): void {
  const backend = given.string("backend");
  if (backend === "socket") return;
  if (backend === undefined) {
    throw refuse(text, `chardev: "${given.id}" missing backend`, "begin with socket,");
  }
  if (OTHER_BACKENDS.has(backend)) {
    throw new ChardevError("UNSUPPORTED", {
      option: `the backend ${backend}`,
      cause: "the network side of a chardev program is a socket",
      hint: "its local side is standard input and output: redirect those",
    });
  }
  throw refuse(
    text,
    `'${printable(backend)}' is not a valid char driver name`,
    "begin with socket,",
  );
}

/** Where it leads to: exactly one of path, fd and host. */
export function checkPlace(given: ParsedOptions, text: string): void {
  const places = ["path", "fd", "host"].filter((name) => given.string(name) !== undefined);
  if (places.length > 1) {
    throw refuse(text, "None or one of 'path', 'fd' or 'host' option required.", KEEP_ONE);
  }
  if (places[0] === "host" && given.string("port") === undefined) {
    throw refuse(text, "chardev: socket: no port given", "add port=N");
  }
  if (places.length === 0) {
    throw refuse(text, "Unable to parse FD number ", "say where: host=…,port=… or path=…");
  }
}

/** What cannot go together, in the order of QEMU's checks. */
export function checkConflicts(given: ParsedOptions, text: string): void {
  const server = given.bool("server") ?? false;
  const tls = given.string("tls-creds") !== undefined;
  const reconnect = ["reconnect", "reconnect-ms"].find((n) => given.number(n) !== undefined);
  const fd = given.string("fd") !== undefined;
  if (fd && reconnect !== undefined) {
    throw refuse(
      text,
      `'${reconnect}' option is incompatible with 'fd' address type`,
      leaveOut(reconnect),
    );
  }
  if (fd && tls && !server) {
    throw refuse(
      text,
      "'tls_creds' option is incompatible with 'fd' address type as client",
      "a client with TLS needs host=, the name that it verifies",
    );
  }
  if (given.string("path") !== undefined && tls) {
    throw refuse(
      text,
      "'tls_creds' option is incompatible with 'unix' address type",
      "TLS needs host= and port=; a unix socket is protected by the mode of its folder",
    );
  }
  if (given.string("tls-authz") !== undefined && !tls) {
    throw refuse(text, "'tls_authz' option requires 'tls_creds' option", NEEDS_TLS);
  }
  if (given.string("tls-hostname") !== undefined && !tls) {
    throw refuse(text, "'tls-hostname' option requires 'tls-creds' option", NEEDS_TLS);
  }
  if (server) {
    if (reconnect !== undefined) {
      throw refuse(
        text,
        `'${reconnect}' option is incompatible with socket in server listen mode`,
        leaveOut(reconnect),
      );
    }
    return;
  }
  if (given.bool("websocket")) {
    throw refuse(text, "Websocket client is not implemented", leaveOut("websocket"));
  }
  if (given.bool("wait") !== undefined) {
    throw refuse(
      text,
      "'wait' option is incompatible with socket in client connect mode",
      "wait= is for server=on",
    );
  }
}
