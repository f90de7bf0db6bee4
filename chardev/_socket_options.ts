/** The options of a socket. */

import { printable } from "../base/mod.ts";
import { type Address, checkAddress, portNumber } from "../channel/mod.ts";
import { checkPlace, findConflict } from "./_conflicts.ts";
import type { ParsedOptions } from "./_qemu_opts.ts";
import { refuse } from "./_refuse.ts";
import type { ChardevError } from "./error.ts";
import type { CommonChardev, DescriptorAddress, SocketChardev, SocketProtocol } from "./kinds.ts";

/** Length of an address's `sun_path` in bytes (unix(7)), all of which an untight name takes. */
const SUN_PATH = 108;
/** The longest pause in ms that a timer takes. */
const MAX_RECONNECT = 2 ** 31 - 1;

/** Finds the number of a descriptor that a monitor has named, and takes it out. */
export type TakeDescriptor = (name: string) => number;

/** Reads a socket; with `take`, `fd=` is a name. */
export function readSocket(
  given: ParsedOptions,
  common: CommonChardev,
  take?: TakeDescriptor,
): SocketChardev {
  checkPlace(given);
  const conflict = findConflict(given) ?? findFault(given, take);
  const tlsCreds = given.string("tls-creds");
  if (conflict !== undefined && tlsCreds === undefined) throw conflict;
  const server = given.bool("server") ?? false;
  return {
    kind: "socket",
    ...common,
    address: readAddress(given, take),
    server,
    wait: server && (given.bool("wait") ?? true),
    ...readProtocol(given),
    nodelay: given.bool("nodelay") ?? !given.bool("delay"),
    reconnect: readReconnect(given),
    ...definedOnly({
      conflict,
      tlsCreds,
      tlsAuthz: given.string("tls-authz"),
      tlsHostname: given.string("tls-hostname"),
    }),
  };
}

/** QEMU's precedence: a connection may be a WebSocket that carries telnet. */
function readProtocol(
  given: ParsedOptions,
): Pick<SocketChardev, "protocol" | "websocket" | "telnet"> {
  const [telnet, tn3270] = [given.bool("telnet"), given.bool("tn3270")];
  const websocket = given.bool("websocket") ?? false;
  const protocol: SocketProtocol = telnet ? "telnet" : websocket ? "websocket" : "tcp";
  const flavour = tn3270 ? "tn3270" : telnet ? "telnet" : undefined;
  return { protocol, websocket, ...(flavour === undefined ? {} : { telnet: flavour }) };
}

function readAddress(
  given: ParsedOptions,
  take: TakeDescriptor | undefined,
): Address | DescriptorAddress {
  const path = given.string("path");
  if (path !== undefined) return readPath(given, path);
  const host = given.string("host");
  if (host === undefined) return readDescriptor(given, take);
  const port = portNumber(given.string("port")!) ?? 0;
  const limits = { to: given.number("to"), ipv4: given.bool("ipv4"), ipv6: given.bool("ipv6") };
  return checkAddress({ kind: "tcp", host, port, ...definedOnly(limits) });
}

function readPath(given: ParsedOptions, path: string): Address {
  if (!given.bool("abstract")) return checkAddress({ kind: "unix", path });
  const name = `\0${path}`;
  const padding = SUN_PATH - new TextEncoder().encode(name).length;
  const isPadded = given.bool("tight") === false && padding > 0;
  return checkAddress({ kind: "unix", path: isPadded ? name + "\0".repeat(padding) : name });
}

function readDescriptor(
  given: ParsedOptions,
  take: TakeDescriptor | undefined,
): DescriptorAddress {
  const fd = given.string("fd") ?? "";
  return take === undefined ? { kind: "fd", fd } : { kind: "fd", fd, take: () => take(fd) };
}

/** Finds what is wrong with a port, or with the number of a descriptor. */
function findFault(
  given: ParsedOptions,
  take: TakeDescriptor | undefined,
): ChardevError | undefined {
  const host = given.string("host");
  if (host !== undefined) return findPortFault(given, host, given.string("port")!);
  if (given.string("path") !== undefined || take !== undefined) return undefined;
  const fd = given.string("fd") ?? "";
  if (/^-?\d{1,9}$/.test(fd)) return undefined;
  return refuse(
    given.text,
    `Unable to parse FD number ${printable(fd)}`,
    fd === ""
      ? "say where: host=…,port=… or path=…"
      : "fd= takes the number of a socket that was passed in: fd=3",
  );
}

function findPortFault(
  { text }: ParsedOptions,
  host: string,
  port: string,
): ChardevError | undefined {
  const isNothing = host === "" && port === "";
  if (!isNothing && portNumber(port) !== undefined) return undefined;
  const cause = isNothing ? "Name or service not known" : "Servname not supported for ai_socktype";
  return refuse(
    text,
    `address resolution failed for ${printable(`${host}:${port}`)}: ${cause}`,
    port.includes(":")
      ? "an IPv6 address has its own option: socket,id=s0,host=::1,port=N"
      : "a port is a number from 0 to 65535, or a name that /etc/services has for TCP",
  );
}

function readReconnect(given: ParsedOptions): number {
  const seconds = given.number("reconnect");
  const ms = seconds === undefined ? given.number("reconnect-ms") ?? 0 : seconds * 1000;
  if (ms > MAX_RECONNECT) {
    throw refuse(
      given.text,
      `cannot wait ${ms} ms before dialling again`,
      "the longest is 24 days",
    );
  }
  return ms;
}

/** An object without its undefined members. */
function definedOnly<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
