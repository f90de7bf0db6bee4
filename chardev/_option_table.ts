/** The options of `-chardev` and their types. */

import type { OptionGrammar, OptionType } from "./_qemu_opts.ts";

/** Options of a socket, as QEMU 7.2 types them, then 9.2's `reconnect-ms` and our own. */
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

/** Options of other back ends: QEMU takes any of them for any device. */
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
  size: "size",
  chardev: "string",
  append: "bool",
  mouse: "bool",
  clipboard: "bool",
} as const satisfies Record<string, OptionType>;

/** The grammar of `-chardev`. */
export const CHARDEV_GRAMMAR: OptionGrammar = {
  types: { ...SOCKET_OPTIONS, ...FOREIGN_OPTIONS },
  // For whom a name did not come to mind: those that have an effect on a socket.
  unknownHint: [
    "the options are: id, host, port, ipv4, ipv6, nodelay, delay, path, abstract, server, fd, mux, " +
    "tls-creds, tls-authz, tls-hostname, logfile, logappend, telnet, tn3270",
    "of a server also: to, wait, websocket",
    "of a client also: reconnect, reconnect-ms",
  ],
};

/** Options that each kind of device uses, beside those that every one has. */
export const USED: Readonly<Record<string, readonly string[]>> = {
  socket: Object.keys(SOCKET_OPTIONS),
  stdio: ["signal"],
  pty: [],
  file: ["path", "append"],
  pipe: ["path"],
  null: [],
  ringbuf: ["size"],
};

/** Options that every device has. */
export const COMMON: ReadonlySet<string> = new Set(["backend", "mux", "logfile", "logappend"]);

/** QEMU's names of the back ends that there are here, with those that are the same by another. */
export const BACKENDS: Readonly<Record<string, string>> = {
  socket: "socket",
  stdio: "stdio",
  pty: "pty",
  file: "file",
  pipe: "pipe",
  null: "null",
  ringbuf: "ringbuf",
  memory: "ringbuf",
};

/** QEMU's other back ends, to tell them from a typing error. */
export const OTHER_BACKENDS: ReadonlySet<string> = new Set(
  ("serial tty parallel parport udp vc mux msmouse wctablet braille testdev spicevmc spiceport " +
    "qemu-vdagent dbus").split(" "),
);
