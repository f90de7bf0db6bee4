/** The argument `backend` of `chardev-add`, as qapi/char.json and qapi/sockets.json have it. */

import { printable } from "../base/mod.ts";
import { parseIpAddress } from "../creds/mod.ts";
import {
  bool,
  int,
  isJsonObject,
  type JsonValue,
  type Members,
  oneOf,
  optional,
  readMembers,
  refused,
  type Shape,
  text,
  unsigned,
  type Values,
} from "../monitor/mod.ts";

/** Options as they are written on a command line, from the members of a backend. */
export interface BackendOptions {
  readonly options: readonly (readonly [name: string, value: string])[];
  /** The name of a descriptor that the client has passed. */
  readonly descriptor?: string;
  /** Whether connections of a socket are kept alive, for which there is no option. */
  readonly keepAlive?: boolean;
  /** Whether its address is one of vsock, of which the options hold what is like TCP's. */
  readonly vsock?: true;
  /** Why no device can be made of it, however well it is written. */
  readonly refusal?: string;
}

const COMMON = { logfile: optional(text), logappend: optional(bool) } as const;

const INET = {
  host: text,
  port: text,
  numeric: optional(bool),
  to: optional(unsigned(16)),
  ipv4: optional(bool),
  ipv6: optional(bool),
  "keep-alive": optional(bool),
  mptcp: optional(bool),
} as const;
const UNIX = { path: text, abstract: optional(bool), tight: optional(bool) } as const;

/** An object with a `type` that says what its `data` is. */
function tagged<T>(
  words: readonly string[],
  data: (type: string, value: { readonly [key: string]: JsonValue }, prefix: string) => T,
): Shape<T> {
  const type = oneOf(words);
  return {
    schema: {
      kind: "object",
      members: [
        { name: "type", type: type.schema, optional: false },
        { name: "data", type: { kind: "builtin", name: "any", json: "value" }, optional: false },
      ],
    },
    read(value, name) {
      if (!isJsonObject(value)) {
        throw refused(`Invalid parameter type for '${name}', expected: object`);
      }
      if (value.type === undefined) throw refused(`Parameter '${name}.type' is missing`);
      const word = type.read(value.type, `${name}.type`);
      if (value.data === undefined) throw refused(`Parameter '${name}.data' is missing`);
      if (!isJsonObject(value.data)) {
        throw refused(`Invalid parameter type for '${name}.data', expected: object`);
      }
      const other = Object.keys(value).find((key) => key !== "type" && key !== "data");
      const read = data(word, value.data, `${name}.data.`);
      if (other !== undefined) throw refused(`Parameter '${name}.${other}' is unexpected`);
      return read;
    },
  };
}

type Options = [string, string][];

/** Members as options of the same names. */
function optionsOf(values: Readonly<Record<string, unknown>>): Options {
  return Object.entries(values).filter(([, value]) => value !== undefined).map(([name, value]) => [
    name,
    typeof value === "boolean" ? (value ? "on" : "off") : String(value),
  ]);
}

const ADDRESS: Shape<BackendOptions> = tagged(["inet", "unix", "vsock", "fd"], (type, data, at) => {
  if (type === "fd") {
    const { str } = readMembers({ str: text }, data, at);
    return { options: [], descriptor: str };
  }
  if (type === "vsock") {
    const { cid } = readMembers({ cid: text, port: text }, data, at);
    return { options: optionsOf({ host: cid, port: "0" }), vsock: true };
  }
  if (type === "unix") return { options: optionsOf(readMembers(UNIX, data, at)) };
  const { numeric, "keep-alive": keepAlive, mptcp, ...inet } = readMembers(INET, data, at);
  const refusal = mptcp
    ? "cannot do mptcp here: connections are of TCP alone"
    : numeric
    ? notNumeric(inet.host, inet.port)
    : undefined;
  return {
    options: optionsOf(inet),
    ...(keepAlive === undefined ? {} : { keepAlive }),
    ...(refusal === undefined ? {} : { refusal }),
  };
});

/** What getaddrinfo() says of a name where there must be none. */
function notNumeric(host: string, port: string): string | undefined {
  const isName = host !== "" && parseIpAddress(host) === undefined;
  if (!isName && /^\d*$/.test(port)) return undefined;
  return `address resolution failed for ${printable(`${host}:${port}`)}: Name or service not known`;
}

const SOCKET = {
  ...COMMON,
  addr: ADDRESS,
  "tls-creds": optional(text),
  "tls-authz": optional(text),
  "tls-hostname": optional(text),
  server: optional(bool),
  wait: optional(bool),
  nodelay: optional(bool),
  telnet: optional(bool),
  tn3270: optional(bool),
  websocket: optional(bool),
  reconnect: optional(int),
  "reconnect-ms": optional(int),
} as const;

const FILE = { ...COMMON, in: optional(text), out: text, append: optional(bool) } as const;
const PIPE = { ...COMMON, device: text } as const;
const STDIO = { ...COMMON, signal: optional(bool) } as const;
const RINGBUF = { ...COMMON, size: optional(int) } as const;

/** QEMU's order in `query-chardev-backends` is that of a hash; ours is this. */
export const BACKEND_NAMES = [
  "socket",
  "stdio",
  "pty",
  "file",
  "pipe",
  "null",
  "ringbuf",
  "memory",
];
const OTHERS = ("serial parallel udp mux msmouse wctablet braille testdev console vc spicevmc " +
  "spiceport qemu-vdagent dbus").split(" ");

/** The argument. */
export const BACKEND: Shape<BackendOptions> = tagged(
  [...BACKEND_NAMES, ...OTHERS],
  (type, data, at) => {
    const options = (members: Members) => optionsOf(readMembers(members, data, at));
    const backend: [string, string] = ["backend", type];
    switch (type) {
      case "socket":
        return socketOptions(readMembers(SOCKET, data, at));
      case "file": {
        const { out, in: _, ...rest } = readMembers(FILE, data, at);
        return { options: [backend, ["path", out], ...optionsOf(rest)] };
      }
      case "pipe": {
        const { device, ...rest } = readMembers(PIPE, data, at);
        return { options: [backend, ["path", device], ...optionsOf(rest)] };
      }
      case "stdio":
        return { options: [backend, ...options(STDIO)] };
      case "ringbuf":
      case "memory":
        return { options: [backend, ...options(RINGBUF)] };
      case "pty":
      case "null":
        return { options: [backend, ...options(COMMON)] };
      default:
        return { options: [backend] };
    }
  },
);

/** QMP has other defaults than the command line: a server, which waits for nobody. */
function socketOptions(given: Values<typeof SOCKET>): BackendOptions {
  const { addr, server = true, wait = server ? false : undefined, ...rest } = given;
  return {
    ...addr,
    options: [
      ["backend", "socket"],
      ...addr.options,
      ["server", server ? "on" : "off"],
      ...optionsOf({ wait, ...rest }),
    ],
  };
}
