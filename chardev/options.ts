/** The text of `--chardev`: QEMU's options, defaults, conflicts and words. */

import { printable } from "../base/mod.ts";
import { BACKENDS, CHARDEV_GRAMMAR, OTHER_BACKENDS } from "./_option_table.ts";
import { ignoredOptions } from "./_ignored.ts";
import { type OptionFrame, type ParsedOptions, parseQemuOpts } from "./_qemu_opts.ts";
import { refuse } from "./_refuse.ts";
import { readSocket, type TakeDescriptor } from "./_socket_options.ts";
import { ChardevError } from "./error.ts";
import type { Chardev, CommonChardev, SocketChardev } from "./kinds.ts";

/** What QEMU keeps of what is written to a ring buffer unless told otherwise, in bytes. */
const RINGBUF_SIZE = 65536;

/**
 * Parses the text of `--chardev`. What QEMU refuses is refused in its words; what it takes and does
 * nothing with is in `ignored`. Options that exclude each other are told of by {@linkcode planTls}
 * where there are credentials to be found first.
 *
 * @example A server of QEMU's manual
 * ```ts
 * import { parseChardev } from "@virtcreds/virtcreds/chardev";
 * import { assertEquals } from "@std/assert";
 *
 * const chardev = parseChardev("socket,id=s0,host=::1,port=7001,server=on,tls-creds=tls0");
 * assertEquals(chardev.kind === "socket" && chardev.address, { kind: "tcp", host: "::1", port: 7001 });
 * ```
 *
 * @param take Makes `fd=` a name, as in a monitor, and gives its number once that is needed.
 * @throws {ChardevError} `OPTION` If QEMU refuses it, `UNSUPPORTED` if we do.
 * @throws {ChannelError} `ADDRESS_INVALID` if the address cannot exist.
 */
export function parseChardev(text: string, take?: TakeDescriptor): Chardev {
  return readChardev(parseQemuOpts(text, "backend", CHARDEV_GRAMMAR), take);
}

/** As {@linkcode parseChardev}, for a text whose options are meant to follow others. */
export function parseFramed(
  tail: string,
  implied: string | undefined,
  frame: OptionFrame,
  take?: TakeDescriptor,
): Chardev {
  return readChardev(parseQemuOpts(tail, implied, CHARDEV_GRAMMAR, frame), take);
}

/**
 * Parses the text of a socket.
 *
 * @throws as {@linkcode parseChardev}, and {ChardevError} `UNSUPPORTED` for another device.
 */
export function parseSocketChardev(text: string): SocketChardev {
  return onlySocket(parseChardev(text));
}

/**
 * Gives a device back if it is a socket.
 *
 * @throws {ChardevError} `UNSUPPORTED` If it is not.
 */
export function onlySocket(chardev: Chardev): SocketChardev {
  if (chardev.kind === "socket") return chardev;
  throw new ChardevError("UNSUPPORTED", {
    option: `the back end ${chardev.kind}`,
    cause: "the network side of a chardev program is a socket",
    hint: [
      "its local side is --backend, standard input and output by default",
      "any two are connected by: deno task chardev join ONE OTHER",
    ],
  });
}

function readChardev(given: ParsedOptions, take: TakeDescriptor | undefined): Chardev {
  const { id, text } = given;
  if (id === undefined) {
    throw refuse(text, "chardev: no id specified", "name it: socket,id=s0,host=…,port=…");
  }
  const kind = readKind(given);
  const common = (): CommonChardev => ({
    id,
    text,
    mux: given.bool("mux") ?? false,
    ...(given.string("logfile") === undefined ? {} : { logfile: given.string("logfile")! }),
    logappend: given.bool("logappend") ?? false,
    warnings: given.warnings,
    ignored: ignoredOptions(given, kind),
  });
  const path = () => given.string("path");
  switch (kind) {
    case "socket":
      return readSocket(given, common(), take);
    case "stdio":
      return { kind, ...common(), signal: given.bool("signal") ?? true };
    case "file":
      return {
        kind,
        ...common(),
        path: path() ?? missing(text, "file: no filename given"),
        append: given.bool("append") ?? false,
      };
    case "pipe":
      return { kind, ...common(), path: path() ?? missing(text, "pipe: no device path given") };
    case "ringbuf":
      return { kind, ...common(), size: readSize(given) };
    default:
      return { kind, ...common() };
  }
}

function readKind(
  given: ParsedOptions,
): "socket" | "stdio" | "pty" | "file" | "pipe" | "null" | "ringbuf" {
  const { text } = given;
  const backend = given.string("backend");
  if (backend === undefined) {
    throw refuse(text, `chardev: "${given.id}" missing backend`, "begin with socket,");
  }
  if (OTHER_BACKENDS.has(backend)) {
    throw new ChardevError("UNSUPPORTED", {
      option: `the back end ${backend}`,
      cause: "it belongs to a machine with devices",
      hint: `there are: ${Object.keys(BACKENDS).join(", ")}`,
    });
  }
  if (!Object.hasOwn(BACKENDS, backend)) {
    throw refuse(
      text,
      `'${printable(backend)}' is not a valid char driver name`,
      `one of: ${Object.keys(BACKENDS).join(", ")}`,
    );
  }
  return BACKENDS[backend] as ReturnType<typeof readKind>;
}

function missing(text: string, what: string): never {
  throw refuse(text, `chardev: ${what}`, "add path=PATH");
}

/** Largest ring buffer in bytes. */
const RINGBUF_MAX = 2 ** 30;

function readSize(given: ParsedOptions): number {
  // QEMU too takes a size of zero for none.
  const size = given.number("size") || RINGBUF_SIZE;
  if (!Number.isInteger(Math.log2(size))) {
    throw refuse(
      given.text,
      "size of ringbuf chardev must be power of two",
      "write size=4k, 64k, 1M, …",
    );
  }
  if (size > RINGBUF_MAX) {
    throw new ChardevError("UNSUPPORTED", {
      option: `size=${given.number("size")}`,
      cause: "it would be memory",
      hint: "1G is the largest",
    });
  }
  return size;
}
