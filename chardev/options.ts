/** The text of `--chardev socket,…`: QEMU's options, defaults, conflicts and words. */

import { printable } from "../base/mod.ts";
import { type Address, checkAddress } from "../channel/mod.ts";
import { checkBackend, checkConflicts, checkPlace } from "./_conflicts.ts";
import { OPTION_HINTS, OPTION_TYPES } from "./_option_table.ts";
import { type OptionWarning, type ParsedOptions, parseQemuOpts } from "./_qemu_opts.ts";
import { KEEP_ONE, refuse } from "./_refuse.ts";
import { checkBuilt } from "./_unbuilt.ts";

export type { OptionWarning } from "./_qemu_opts.ts";

/** A socket character device as its option text describes it. */
export interface SocketChardev {
  readonly id: string;
  /** The text it was made from. */
  readonly text: string;
  readonly address: Address;
  /** Whether it listens; it dials otherwise. Says nothing of the TLS role. */
  readonly server: boolean;
  /** Whether small writes go out at once; unlike in QEMU, they do unless told otherwise. */
  readonly nodelay: boolean;
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
 * @throws {ChannelError} `ADDRESS_INVALID` if the address cannot exist.
 */
export function parseSocketChardev(text: string): SocketChardev {
  const given = parseQemuOpts(text, "backend", OPTION_TYPES, OPTION_HINTS);
  const { id } = given;
  if (id === undefined) {
    throw refuse(text, "chardev: no id specified", "name it: socket,id=s0,host=…,port=…");
  }
  checkBackend(given, text);
  checkPlace(given, text);
  if (given.bool("delay") !== undefined && given.bool("nodelay") !== undefined) {
    throw refuse(text, "'delay' and 'nodelay' are mutually exclusive", KEEP_ONE);
  }
  if (given.number("reconnect") !== undefined && given.number("reconnect-ms") !== undefined) {
    throw refuse(text, "'reconnect' and 'reconnect-ms' are mutually exclusive", KEEP_ONE);
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
    nodelay: given.bool("nodelay") ?? !given.bool("delay"),
    reconnect: readReconnect(given, text),
    ...definedOnly(optional),
    logappend: given.bool("logappend") ?? false,
    warnings: given.warnings,
  };
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
