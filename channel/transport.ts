/** What a migration can go over, as QEMU's users write it: sockets, commands, descriptors, files. */

import { type Address, formatAddress, parseAddress } from "./address.ts";
import { ChannelError } from "./error.ts";
import type { ExecAddress } from "./exec.ts";

/** A descriptor: one that was inherited, by its number, or one that `getfd` has named. */
export interface DescriptorAddress {
  readonly kind: "fd";
  /** Digits alone are a number. */
  readonly name: string;
  /** The descriptor itself, where its name is no number. */
  readonly number?: number;
}

/** A file, from a place in it on. */
export interface FileAddress {
  readonly kind: "file";
  readonly path: string;
  /** Bytes from its start. */
  readonly offset: number;
}

/** What a migration can go over. */
export type Transport = Address | ExecAddress | DescriptorAddress | FileAddress;

/**
 * Parses a migration URI; a command runs and a file is opened only where the result is used.
 *
 * @example A file behind a header of one page
 * ```ts
 * import { parseTransport } from "@virtcreds/virtcreds/channel";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseTransport("file:/var/guest.mig,offset=0x1000"), {
 *   kind: "file",
 *   path: "/var/guest.mig",
 *   offset: 4096,
 * });
 * ```
 *
 * @throws {ChannelError} `ADDRESS_INVALID` If it is no address.
 */
export function parseTransport(text: string): Transport {
  const [, scheme = "", rest = ""] = /^(exec|fd|file):(.*)$/s.exec(text) ?? [];
  switch (scheme) {
    case "exec":
      return parseExec(text, rest);
    case "fd":
      return parseDescriptor(text, rest);
    case "file":
      return parseFile(text, rest);
    default:
      return parseSocket(text);
  }
}

/** A word that is no protocol is one of all that there are, not of sockets alone. */
function parseSocket(text: string): Address {
  try {
    return parseAddress(text);
  } catch (error) {
    if (!(error instanceof ChannelError) || /^(tcp|unix|rdma|vsock):/.test(text)) throw error;
    const hint = "write tcp:HOST:PORT, unix:PATH, exec:COMMAND, fd:NUMBER or file:PATH";
    throw new ChannelError(error.code, { ...error.facts, hint }, { cause: error });
  }
}

/** Writes a transport as {@linkcode parseTransport} reads it. */
export function formatTransport(transport: Transport): string {
  switch (transport.kind) {
    case "exec":
      return `exec:${transport.command}`;
    case "fd":
      return `fd:${transport.name}`;
    case "file":
      return `file:${transport.path}` +
        (transport.offset === 0 ? "" : `,offset=${transport.offset}`);
    default:
      return formatAddress(transport);
  }
}

function parseExec(value: string, command: string): ExecAddress {
  if (command.trim() !== "" && !command.includes("\0")) return { kind: "exec", command };
  throw new ChannelError("ADDRESS_INVALID", {
    value,
    cause: "it names no command",
    hint: "write exec:COMMAND, in quotes for your shell: 'exec:socat - TCP:HOST:PORT'",
  });
}

function parseDescriptor(value: string, name: string): DescriptorAddress {
  if (/^\d{1,9}$/.test(name) || /^[A-Za-z_][\w.-]{0,254}$/.test(name)) return { kind: "fd", name };
  throw new ChannelError("ADDRESS_INVALID", {
    value,
    cause: "it names no descriptor",
    hint: "write fd:NUMBER for one that was inherited, or fd:NAME for one that getfd has named",
  });
}

/** As QEMU 8.2 does: what follows the last comma is an option if it begins like it. */
function parseFile(value: string, text: string): FileAddress {
  const [, path = "", offset = "0"] = /^(.*?)(?:,offset=(.*))?$/s.exec(text) ?? [];
  const number = /^(0x[0-9a-f]{1,13}|\d{1,16})([KMGT]?)$/i.exec(offset);
  const unit = 2 ** (10 * ("KMGT".indexOf(number?.[2]?.toUpperCase() || "-") + 1));
  const bytes = number === null ? NaN : Number(number[1]) * unit;
  if (path !== "" && !path.includes("\0") && Number.isSafeInteger(bytes)) {
    return { kind: "file", path, offset: bytes };
  }
  throw new ChannelError("ADDRESS_INVALID", {
    value,
    ...(path === "" || path.includes("\0")
      ? { cause: "it names no file" }
      : { text: `file URI has bad offset ${offset}` }),
    hint: "write file:PATH or file:PATH,offset=BYTES",
  });
}
