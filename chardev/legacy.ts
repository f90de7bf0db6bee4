/** The old forms of `-serial`: `tcp:HOST:PORT,server=on`, `unix:PATH`, `file:PATH`, `pty`. */

import { printable } from "../base/mod.ts";
import { badId } from "./_qemu_opts.ts";
import { refuse } from "./_refuse.ts";
import { ChardevError } from "./error.ts";
import type { Chardev } from "./kinds.ts";
import { parseFramed } from "./options.ts";

/** How an old form is read. */
export interface LegacyOptions {
  /** The id of the device; QEMU counts `serial0`, `serial1`, … */
  readonly id: string;
  /** The device that a failure names, as in `-serial`; `serial` by default, none with `""`. */
  readonly device?: string;
  /** Finds what `chardev:ID` names. */
  readonly find?: (id: string) => Chardev | undefined;
}

/** Old forms that are one word. */
const WORDS: ReadonlySet<string> = new Set(
  "null pty msmouse wctablet braille testdev stdio".split(" "),
);
const FORMS = "one of: tcp:HOST:PORT, telnet:, tn3270:, websocket:, unix:PATH, file:PATH, " +
  "pipe:PATH, pty, stdio, null, mon:…, chardev:ID, exec:COMMAND";
const PREFIXES = /^(mon|tcp|telnet|tn3270|websocket|unix|udp|file|pipe|chardev|exec|vc|con):/;

/**
 * Whether a text is meant as an old form, not as options with an id: `tcp:h:1`, `pty`.
 *
 * @example Both kinds
 * ```ts
 * import { isLegacy } from "@virtcreds/virtcreds/chardev";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(["pty", "unix:/run/s,server=on", "pty,id=p0"].map(isLegacy), [true, true, false]);
 * ```
 */
export function isLegacy(text: string): boolean {
  return WORDS.has(text) || PREFIXES.test(text) || /^\/dev\//.test(text);
}

/**
 * Parses the old form of a device as QEMU's `-serial` does (chardev/char.c,
 * qemu_chr_parse_compat); `exec:COMMAND` is ours.
 *
 * @example A server
 * ```ts
 * import { parseLegacy } from "@virtcreds/virtcreds/chardev";
 * import { assertEquals } from "@std/assert";
 *
 * const serial = parseLegacy("tcp:127.0.0.1:7001,server=on", { id: "serial0" });
 * assertEquals(serial.kind === "socket" && serial.address, {
 *   kind: "tcp",
 *   host: "127.0.0.1",
 *   port: 7001,
 * });
 * ```
 *
 * @throws {ChardevError} `OPTION` If QEMU refuses it, in its words and with its last line as a hint;
 * `UNSUPPORTED` if we do.
 * @throws {ChannelError} `ADDRESS_INVALID` if the address cannot exist.
 */
export function parseLegacy(text: string, options: LegacyOptions): Chardev {
  const { id, device = "serial" } = options;
  const chardev = text.startsWith("chardev:") ? options.find?.(text.slice(8)) : undefined;
  if (chardev !== undefined) return chardev;
  const failed = `could not connect ${device} device to character backend '${printable(text)}'`;
  if (device === "") return parseForm(text, id, failed);
  const adding = (error: ChardevError) =>
    new ChardevError(error.code, { ...error.facts, hint: [failed, ...error.hints] });
  try {
    const parsed = parseForm(text, id, failed);
    if (parsed.kind !== "socket" || parsed.conflict === undefined) return parsed;
    return { ...parsed, conflict: adding(parsed.conflict) };
  } catch (error) {
    if (!(error instanceof ChardevError) || error.code !== "OPTION") throw error;
    throw error.message === failed ? error : adding(error);
  }
}

function parseForm(text: string, id: string, failed: string): Chardev {
  const mon = text.startsWith("mon:");
  const form = mon ? text.slice(4) : text;
  const before: [string, string][] = [];
  if (mon) {
    before.push(["mux", "on"]);
    // QEMU: the monitor on a terminal is no reason to end at Ctrl-C.
    if (form === "stdio") before.push(["signal", "off"]);
  }
  const frame = (backend: string, ...more: [string, string][]) => ({
    text,
    id,
    before: [...before, ["backend", backend] as const, ...more],
  });
  if (WORDS.has(form)) return parseFramed("", undefined, frame(form));
  const [, scheme = "", rest = ""] = /^(\w+):([^]*)$/.exec(form) ?? [];
  switch (scheme) {
    case "tcp":
    case "telnet":
    case "tn3270":
    case "websocket": {
      // As sscanf() reads it: a host of at most 64 characters, a port of at most 32.
      const match = /^(?:([^:]{1,64}):|:)([^,]{1,32})(?:,([^]*))?$/.exec(rest);
      if (match === null) {
        throw refuse(text, failed, `write ${scheme}:HOST:PORT, and ,server=on behind it to listen`);
      }
      const [, host = "", port = "", tail = ""] = match;
      return parseFramed(tail, undefined, {
        ...frame("socket", ["host", host], ["port", port]),
        after: scheme === "tcp" ? [] : [[scheme, "on"]],
      });
    }
    case "unix":
      return parseFramed(rest, "path", frame("socket"));
    case "file":
    case "pipe":
      return parseFramed("", undefined, frame(scheme, ["path", rest]));
    case "exec":
      return readCommand(text, id, rest, mon);
    case "chardev":
      throw refuse(text, failed, "name the id of another --chardev");
    case "udp":
    case "vc":
      throw new ChardevError("UNSUPPORTED", {
        option: printable(form),
        cause: "it belongs to a machine with devices",
        hint: FORMS,
      });
    case "con":
      return parseFramed("", undefined, frame("console"));
  }
  if (form.startsWith("/dev/") || form.startsWith("COM") || form.startsWith("vc")) {
    throw new ChardevError("UNSUPPORTED", {
      option: printable(form),
      cause: "no device of this host is taken over",
      hint: [
        `join it by a program: exec:'socat - ${
          form.startsWith("/dev/") ? form : "/dev/ttyS0"
        },raw,echo=0'`,
      ],
    });
  }
  throw refuse(text, `'${printable(form)}' is not a valid char driver`, FORMS);
}

function readCommand(text: string, id: string, command: string, mux: boolean): Chardev {
  if (!/^[A-Za-z][\w.-]*$/.test(id)) throw badId(text);
  if (command.trim() === "" || command.includes("\0")) {
    throw refuse(text, "exec: names no command", "write exec:COMMAND, in quotes for your shell");
  }
  return { kind: "exec", id, text, command, mux, logappend: false, warnings: [], ignored: [] };
}

/**
 * Parses a device in either form.
 *
 * @throws as {@linkcode parseChardev} and {@linkcode parseLegacy}.
 */
export function parseAnyChardev(text: string, options: LegacyOptions): Chardev {
  return isLegacy(text) ? parseLegacy(text, options) : parseFramedId(text, options.id);
}

/** A long form whose id may be left out, as there is only one of its kind. */
function parseFramedId(text: string, id: string): Chardev {
  const named = /(^|,)id=([^,]*)/.exec(text)?.[2];
  return parseFramed(text, "backend", { text, id: named ?? id, before: [] });
}
