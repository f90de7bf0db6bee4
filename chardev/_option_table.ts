/** The options of `-chardev` and their types. */

import type { OptionType } from "./_qemu_opts.ts";

/**
 * Options of a socket, as QEMU 7.2 types them, then 9.2's `reconnect-ms` and our own. `wait` changes
 * nothing: it says whether a guest starts before its client comes, and there is no guest here.
 */
export const SOCKET_OPTIONS = {
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
export const FOREIGN_OPTIONS = {
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

/** All of them. */
export const OPTION_TYPES: Readonly<Record<string, OptionType>> = {
  ...SOCKET_OPTIONS,
  ...FOREIGN_OPTIONS,
};

/** Those that are neither refused nor without effect here, for whom a name did not come to mind. */
export const OPTION_HINTS: readonly string[] = [
  "the options are: id, host, port, ipv4, ipv6, nodelay, delay, path, abstract, server, " +
  "tls-creds, tls-authz, tls-hostname, logfile, logappend",
  "of a server also: to, wait",
  "of a client also: reconnect, reconnect-ms",
];

/** QEMU's other back ends, to tell them from a typing error. */
export const OTHER_BACKENDS: ReadonlySet<string> = new Set(
  ("null pty file pipe stdio serial tty parallel parport udp vc ringbuf memory mux msmouse " +
    "wctablet braille testdev spicevmc spiceport qemu-vdagent dbus hub").split(" "),
);
