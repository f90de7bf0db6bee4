/** Addresses as QEMU's users write them: `tcp:HOST:PORT`, `unix:PATH`. */

import { ChannelError } from "./error.ts";

/** A TCP address, with the options of QEMU's inet addresses that we honour. */
export interface TcpAddress {
  readonly kind: "tcp";
  /** A name, an IPv4 or an IPv6 address without brackets; empty listens on every address. */
  readonly host: string;
  /** 0 lets a listener take any free port. */
  readonly port: number;
  /** The last port that a listener tries, where the ones before are in use. */
  readonly to?: number;
  /** `false` keeps off IPv4. */
  readonly ipv4?: boolean;
  /** `false` keeps off IPv6. */
  readonly ipv6?: boolean;
}

/** A unix socket by its path; a path that starts with NUL is abstract. */
export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
}

/** Where a channel leads. */
export type Address = TcpAddress | UnixAddress;

/** `sun_path` of Linux, its NUL included (unix(7)). */
const UNIX_PATH_MAX = 108;
/** Longest host that is looked up: a DNS name has at most 253 characters (RFC 1035 3.1). */
const HOST_MAX = 253;
const PORTS = "take a free one; 0 lets a listener take any and tells which";
const FORMS = "write tcp:HOST:PORT, tcp:[IPV6]:PORT or unix:PATH";

/**
 * Parses a migration URI. What QEMU refuses is refused in its words; beyond QEMU, a port over
 * 65535 and an unknown option are refused where QEMU wraps and ignores.
 *
 * @example An IPv6 address
 * ```ts
 * import { parseAddress } from "@virtcreds/virtcreds/channel";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(parseAddress("tcp:[::1]:4444"), { kind: "tcp", host: "::1", port: 4444 });
 * ```
 *
 * @throws {ChannelError} `ADDRESS_INVALID` If it is not an address, or none that can exist.
 */
export function parseAddress(text: string): Address {
  if (/\p{Cc}/u.test(text)) {
    throw new ChannelError("ADDRESS_INVALID", {
      text: "cannot use an address with a control character in it",
      hint: FORMS,
    });
  }
  const scheme = /^(\w+):/.exec(text)?.[1];
  const rest = text.slice((scheme?.length ?? 0) + 1);
  switch (scheme) {
    case "tcp":
      return parseTcp(rest);
    case "unix":
      return checkAddress({ kind: "unix", path: rest });
    case "exec":
    case "fd":
    case "file":
    case "rdma":
    case "vsock":
      throw new ChannelError("ADDRESS_INVALID", {
        value: text,
        cause: `${scheme}: is not supported`,
        hint: FORMS,
      });
    default:
      throw new ChannelError("ADDRESS_INVALID", {
        value: text,
        text: `unknown migration protocol: ${text}`,
        hint: FORMS,
      });
  }
}

/** Writes an address as {@linkcode parseAddress} reads it. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return formatUnix(address.path);
  const { to, ipv4, ipv6 } = address;
  return `tcp:${formatHostPort(address)}` +
    (to === undefined ? "" : `,to=${to}`) +
    (ipv4 === undefined ? "" : `,ipv4=${ipv4 ? "on" : "off"}`) +
    (ipv6 === undefined ? "" : `,ipv6=${ipv6 ? "on" : "off"}`);
}

/** Writes `unix:PATH`, and `unix:@NAME` for an abstract one, without its padding. */
export function formatUnix(path: string): string {
  return `unix:${unixName(path)}`;
}

/** Writes the path of a unix socket, and `@NAME` for an abstract one, as `ss` does. */
export function unixName(path: string): string {
  return path.startsWith("\0") ? `@${path.slice(1).replace(/\0+$/, "")}` : path;
}

/** Writes `HOST:PORT`, with brackets where the host has colons. */
export function formatHostPort({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/**
 * Checks an address however it was made, and gives it back.
 *
 * @throws {ChannelError} as {@linkcode parseAddress}.
 */
export function checkAddress<A extends Address>(address: A): A {
  if (address.kind === "unix") checkUnix(address.path);
  else checkTcp(address);
  return address;
}

function parseTcp(text: string): TcpAddress {
  const [address = "", ...options] = text.split(",");
  const match = address.startsWith(":")
    ? /^():(.+)$/.exec(address)
    : address.startsWith("[")
    ? /^\[([0-9A-Fa-f:.%\w-]+)\]:(.+)$/.exec(address)
    : /^([^:]+):(.+)$/.exec(address);
  if (match === null) {
    const what = address.startsWith(":")
      ? "port in address"
      : address.startsWith("[")
      ? "IPv6 address"
      : "address";
    throw new ChannelError("ADDRESS_INVALID", {
      value: text,
      text: `error parsing ${what} '${text}'`,
      hint: FORMS,
    });
  }
  const host = match[1]!;
  return checkAddress({
    kind: "tcp",
    host,
    port: parsePort(host, match[2]!),
    ...parseOptions(options),
  });
}

function parsePort(host: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) {
    throw new ChannelError("ADDRESS_INVALID", {
      peer: `${host}:${text}`,
      text: `address resolution failed for ${host}:${text}: Servname not supported for ai_socktype`,
      hint: [
        "the port is a number from 0 to 65535",
        ...(text.includes(":") ? ["an IPv6 address goes into brackets: tcp:[::1]:4444"] : []),
      ],
    });
  }
  return Number(text);
}

function parseOptions(options: readonly string[]): Pick<TcpAddress, "to" | "ipv4" | "ipv6"> {
  const out: { to?: number; ipv4?: boolean; ipv6?: boolean } = {};
  for (const option of options) {
    const match = /^(\w[\w-]*)(?:=(.*))?$/.exec(option);
    const [name, value] = [match?.[1], match?.[2]];
    const flag = value === undefined || value === "on" ? true : value === "off" ? false : undefined;
    if (name === "to" && value !== undefined && /^\d{1,9}$/.test(value)) out.to = Number(value);
    else if ((name === "ipv4" || name === "ipv6") && flag !== undefined) out[name] = flag;
    else {
      throw new ChannelError("ADDRESS_INVALID", {
        value: option,
        text: name === "to" || name === "ipv4" || name === "ipv6"
          ? `error parsing '${name}' flag '${value ?? ""}'`
          : `Invalid parameter '${name ?? option}'`,
        hint: "the options are to=PORT, ipv4=on|off and ipv6=on|off",
      });
    }
  }
  return out;
}

function checkTcp(address: TcpAddress): void {
  const { host, port, to } = address;
  for (const number of [port, to ?? port]) {
    if (!Number.isInteger(number) || number < 0 || number > 65535) {
      throw new ChannelError("ADDRESS_INVALID", {
        value: formatHostPort({ host, port: number }),
        cause: "a port is a number from 0 to 65535",
        hint: PORTS,
      });
    }
  }
  if (to !== undefined && to < port) {
    throw new ChannelError("ADDRESS_INVALID", {
      value: formatHostPort(address),
      cause: `the range of ports ends at ${to}, before it begins`,
      hint: "the first port stands behind the host, the last one in to=PORT",
    });
  }
  if (address.ipv4 === false && address.ipv6 === false) {
    throw new ChannelError("ADDRESS_INVALID", {
      text: "Cannot disable IPv4 and IPv6 at same time",
      hint: "leave one of ipv4=off and ipv6=off out",
    });
  }
  if (host.length > HOST_MAX || !/^[\w.:%-]*$/.test(host)) {
    const peer = `${host.slice(0, HOST_MAX)}:${port}`;
    throw new ChannelError("ADDRESS_INVALID", {
      peer,
      text: `address resolution failed for ${peer}: Name or service not known`,
      hint: "a host is a DNS name of letters, digits, '-' and '.', or an IP address",
    });
  }
}

function checkUnix(path: string): void {
  if (path === "") {
    throw new ChannelError("ADDRESS_INVALID", {
      text: "invalid Unix socket address",
      hint: FORMS,
    });
  }
  const length = new TextEncoder().encode(path).length;
  // An abstract name needs no NUL at its end, and may be padded to the full length.
  if (length >= UNIX_PATH_MAX && !(path.startsWith("\0") && length === UNIX_PATH_MAX)) {
    throw new ChannelError("ADDRESS_INVALID", {
      text: `UNIX socket path '${path.slice(0, 300)}' is too long`,
      hint: `the path must be less than ${UNIX_PATH_MAX} bytes`,
    });
  }
}
