/** The text of `--chardev socket,…`: QEMU's options, defaults, conflicts and words. */

import { printable } from "../base/mod.ts";
import { type Address, checkAddress } from "../channel/mod.ts";
import {
  type OptionType,
  type OptionWarning,
  type ParsedOptions,
  parseQemuOpts,
} from "./_qemu_opts.ts";
import { ChardevError } from "./error.ts";

export type { OptionWarning } from "./_qemu_opts.ts";

/** A socket character device as its option text describes it. */
export interface SocketChardev {
  readonly id: string;
  /** The text it was made from. */
  readonly text: string;
  readonly address: Address;
  /** Whether it listens; it dials otherwise. Says nothing of the TLS role. */
  readonly server: boolean;
  /** Pause in ms before a client dials again; 0 ends it with its connection. */
  readonly reconnect: number;
  /** Id of the `tls-creds-*` object. */
  readonly tlsCreds?: string;
  /** Id of the `authz-*` object. */
  readonly tlsAuthz?: string;
  /** Name to verify instead of the host; not an option of QEMU. */
  readonly tlsHostname?: string;
  /** File that gets a copy of what the peer writes. */
  readonly logfile?: string;
  /** Keep what the log file has. */
  readonly logappend: boolean;
  /** What QEMU would warn of. */
  readonly warnings: readonly OptionWarning[];
}

/** Options of a socket, as QEMU 7.2 types them, then 9.2's `reconnect-ms` and our own. */
const SOCKET_OPTIONS = {
  backend: "string",
  path: "string",
  host: "string",
  port: "string",
  fd: "string",
  to: "number",
  ipv4: "bool",
  ipv6: "bool",
  wait: "bool",
  server: "bool",
  delay: "bool",
  nodelay: "bool",
  reconnect: "number",
  telnet: "bool",
  tn3270: "bool",
  "tls-creds": "string",
  "tls-authz": "string",
  websocket: "bool",
  mux: "bool",
  logfile: "string",
  logappend: "bool",
  tight: "bool",
  abstract: "bool",
  "reconnect-ms": "number",
  "tls-hostname": "string",
} as const satisfies Record<string, OptionType>;

/** Options of other back ends: QEMU takes them for a socket and ignores them. */
const FOREIGN_OPTIONS = {
  localaddr: "string",
  localport: "string",
  width: "number",
  height: "number",
  cols: "number",
  rows: "number",
  signal: "bool",
  name: "string",
  debug: "number",
  size: "string",
  chardev: "string",
  append: "bool",
  mouse: "bool",
  clipboard: "bool",
} as const satisfies Record<string, OptionType>;

const TYPES: Readonly<Record<string, OptionType>> = { ...SOCKET_OPTIONS, ...FOREIGN_OPTIONS };

/** QEMU's other back ends, to tell them from a typing error. */
const OTHER_BACKENDS: ReadonlySet<string> = new Set(
  ("null pty file pipe stdio serial tty parallel parport udp vc ringbuf memory mux msmouse " +
    "wctablet braille testdev spicevmc spiceport qemu-vdagent dbus hub").split(" "),
);

/** The longest pause in ms that a timer takes. */
const MAX_RECONNECT = 2 ** 31 - 1;

/**
 * Parses the text of `--chardev`. What QEMU refuses is refused in its words; what it takes and we
 * cannot do, or what it takes and ignores, is refused too.
 *
 * @example A server of QEMU's manual
 * ```ts
 * import { parseSocketChardev } from "@virtcreds/virtcreds/chardev";
 * import { assertEquals } from "@std/assert";
 *
 * const chardev = parseSocketChardev("socket,id=s0,host=::1,port=7001,server=on,tls-creds=tls0");
 * assertEquals(chardev.address, { kind: "tcp", host: "::1", port: 7001 });
 * assertEquals(chardev.tlsCreds, "tls0");
 * ```
 *
 * @throws {ChardevError} `OPTION` If QEMU refuses it, `UNSUPPORTED` or `NO_EFFECT` if we do.
 * @throws {ChannelError} `ADDRESS_INVALID` or `ADDRESS_UNRESOLVED` if the address cannot exist.
 */
export function parseSocketChardev(text: string): SocketChardev {
  const given = parseQemuOpts(text, "backend", TYPES);
  const { id } = given;
  if (id === undefined) {
    throw refuse(text, "chardev: no id specified", "name it: socket,id=s0,host=…,port=…");
  }
  checkBackend(given, text);
  checkPlace(given, text);
  if (given.bool("delay") !== undefined && given.bool("nodelay") !== undefined) {
    throw refuse(text, "'delay' and 'nodelay' are mutually exclusive");
  }
  if (given.number("reconnect") !== undefined && given.number("reconnect-ms") !== undefined) {
    throw refuse(text, "'reconnect' and 'reconnect-ms' are mutually exclusive");
  }
  checkConflicts(given, text);
  checkBuilt(given);
  const optional = {
    tlsCreds: given.string("tls-creds"),
    tlsAuthz: given.string("tls-authz"),
    tlsHostname: given.string("tls-hostname"),
    logfile: given.string("logfile"),
  };
  return {
    id,
    text,
    address: readAddress(given, text),
    server: given.bool("server") ?? false,
    reconnect: readReconnect(given, text),
    ...definedOnly(optional),
    logappend: given.bool("logappend") ?? false,
    warnings: given.warnings,
  };
}

function checkBackend(given: ParsedOptions, text: string): void {
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
function checkPlace(given: ParsedOptions, text: string): void {
  const places = ["path", "fd", "host"].filter((name) => given.string(name) !== undefined);
  if (places.length > 1) {
    throw refuse(text, "None or one of 'path', 'fd' or 'host' option required.");
  }
  if (places[0] === "host" && given.string("port") === undefined) {
    throw refuse(text, "chardev: socket: no port given", "add port=N");
  }
  if (places.length === 0) {
    throw refuse(text, "Unable to parse FD number ", "say where: host=…,port=… or path=…");
  }
}

/** What cannot go together, in the order of QEMU's checks. */
function checkConflicts(given: ParsedOptions, text: string): void {
  const server = given.bool("server") ?? false;
  const tls = given.string("tls-creds") !== undefined;
  const reconnect = ["reconnect", "reconnect-ms"].find((n) => given.number(n) !== undefined);
  const fd = given.string("fd") !== undefined;
  if (fd && reconnect !== undefined) {
    throw refuse(text, `'${reconnect}' option is incompatible with 'fd' address type`);
  }
  if (fd && tls && !server) {
    throw refuse(text, "'tls_creds' option is incompatible with 'fd' address type as client");
  }
  if (given.string("path") !== undefined && tls) {
    throw refuse(
      text,
      "'tls_creds' option is incompatible with 'unix' address type",
      "TLS needs host= and port=; a unix socket is protected by the mode of its folder",
    );
  }
  if (given.string("tls-authz") !== undefined && !tls) {
    throw refuse(text, "'tls_authz' option requires 'tls_creds' option");
  }
  if (given.string("tls-hostname") !== undefined && !tls) {
    throw refuse(text, "'tls-hostname' option requires 'tls-creds' option");
  }
  if (server) {
    if (reconnect !== undefined) {
      throw refuse(text, `'${reconnect}' option is incompatible with socket in server listen mode`);
    }
    return;
  }
  if (given.bool("websocket")) throw refuse(text, "Websocket client is not implemented");
  if (given.bool("wait") !== undefined) {
    throw refuse(
      text,
      "'wait' option is incompatible with socket in client connect mode",
      "wait= is for server=on",
    );
  }
}

/** Refuses what is right in QEMU and would be ignored here. */
function checkBuilt(given: ParsedOptions): void {
  for (const name of given.names) {
    if (Object.hasOwn(FOREIGN_OPTIONS, name)) {
      throw new ChardevError("NO_EFFECT", { option: name, cause: "on a socket" });
    }
  }
  const switches: Readonly<Record<string, string>> = {
    telnet: "no telnet negotiation is made",
    tn3270: "no telnet negotiation is made",
    websocket: "no WebSocket handshake is made",
    mux: "there is one front end, standard input and output",
  };
  for (const [name, cause] of Object.entries(switches)) {
    if (given.bool(name)) {
      throw new ChardevError("UNSUPPORTED", {
        option: `${name}=on`,
        cause,
        hint: `leave ${name}= out, here and at the peer`,
      });
    }
  }
  if (given.string("fd") !== undefined) {
    throw new ChardevError("UNSUPPORTED", {
      option: "fd=",
      cause: "a descriptor that was passed in cannot be taken over",
      hint: "use host= and port=, or path=",
    });
  }
  if (given.bool("abstract") && given.bool("tight") === false) {
    throw new ChardevError("UNSUPPORTED", {
      option: "tight=off",
      cause: "an abstract name is never padded with zeros",
      hint: "use tight=on at both ends",
    });
  }
  const unix = given.string("path") !== undefined;
  const misplaced = (names: readonly string[], cause: string) => {
    const option = names.find((name) => given.names.includes(name));
    if (option !== undefined) throw new ChardevError("NO_EFFECT", { option, cause });
  };
  if (unix) misplaced(["port", "to", "ipv4", "ipv6", "nodelay", "delay"], "on a unix socket");
  else misplaced(["abstract", "tight"], "on a TCP socket");
  if (!given.bool("server")) misplaced(["to"], "on a client");
  if (given.string("logfile") === undefined) misplaced(["logappend"], "without logfile=");
}

function readAddress(given: ParsedOptions, text: string): Address {
  const path = given.string("path");
  if (path !== undefined) {
    return checkAddress({ kind: "unix", path: given.bool("abstract") ? `\0${path}` : path });
  }
  const host = given.string("host")!;
  const port = given.string("port")!;
  if (!/^\d{1,9}$/.test(port)) {
    throw refuse(
      text,
      `address resolution failed for ${
        printable(`${host}:${port}`)
      }: Servname not supported for ai_socktype`,
      "a port is a number from 0 to 65535",
    );
  }
  const limits = {
    to: given.number("to"),
    ipv4: given.bool("ipv4"),
    ipv6: given.bool("ipv6"),
  };
  return checkAddress({ kind: "tcp", host, port: Number(port), ...definedOnly(limits) });
}

function readReconnect(given: ParsedOptions, text: string): number {
  const seconds = given.number("reconnect");
  const ms = seconds === undefined ? given.number("reconnect-ms") ?? 0 : seconds * 1000;
  if (ms > MAX_RECONNECT) {
    throw refuse(text, `cannot wait ${ms} ms before dialling again`, "the longest is 24 days");
  }
  return ms;
}

/** An object without its undefined members. */
function definedOnly<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined),
  ) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function refuse(option: string, text: string, hint?: string): ChardevError {
  return new ChardevError("OPTION", { option, text, ...(hint === undefined ? {} : { hint }) });
}
