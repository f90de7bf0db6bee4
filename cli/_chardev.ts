/** What the chardev commands share: flags, devices, objects, messages. */

import type { Backend, Chardev, SocketChardev, SocketEvents } from "../chardev/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { type Flag, type Input, usage } from "./_command.ts";
import { say, sayError } from "./_console.ts";
import { typed } from "./_help.ts";
import { makeObjects, OBJECT_FLAGS } from "./_objects.ts";

/** The escape key of `mux=on`. */
export const ESCAPE_FLAG: Flag = {
  name: "echr",
  value: "N",
  default: "1",
  help: "the escape key of a device with mux=on, as a number: 1 is Ctrl-A",
};

/** Flags of the server and the client. */
export const CHARDEV_FLAGS: readonly Flag[] = [
  {
    name: "chardev",
    value: "socket,id=ID,…",
    repeat: true,
    help:
      "the socket as QEMU's -chardev takes it; tls-hostname=NAME is our addition; a second one is the local side",
  },
  {
    name: "serial",
    value: "tcp:H:P,…",
    help: "the same in an old form of QEMU's -serial: tcp:, telnet:, tn3270:, websocket:, unix:",
  },
  {
    name: "backend",
    value: "SPEC",
    help:
      "the local side, stdio by default: pty, file:PATH, pipe:PATH, null, ringbuf, exec:COMMAND, or any --chardev",
  },
  ESCAPE_FLAG,
  ...OBJECT_FLAGS,
];

/** How both end. */
export const CHARDEV_NOTES =
  `It joins the socket with its local side, standard input and output by default, until either ends.
When standard input ends after it has given something, what the peer still sends is passed on until
the peer is silent for a second; an empty one (</dev/null) is not waited for: it only listens.
A terminal is raw meanwhile, Ctrl-] ends it. A signal ends it with 128 and its number.`;

/** What a program was told to join. */
export interface Devices {
  readonly chardev: SocketChardev;
  /** The local side where it is not standard input and output. */
  readonly backend?: Chardev;
  /** The caller disposes of them. */
  readonly objects: ObjectRegistry;
}

/** Makes the devices of the flags, and the objects they may name. */
export async function readDevices(
  input: Input,
  command: string,
  server: boolean,
): Promise<Devices> {
  const texts = input.all("chardev");
  const serial = input.get("serial");
  if (serial === undefined && texts.length === 0) {
    throw usage("missing --chardev", `see: ${typed(command)} --help`);
  }
  const { isLegacy, onlySocket, parseAnyChardev, parseChardev, parseLegacy } = await import(
    "../chardev/mod.ts"
  );
  const named = texts.map((text, i) =>
    isLegacy(text) ? parseLegacy(text, { id: `char${i}`, device: "" }) : parseChardev(text)
  );
  checkIds(named);
  const find = (id: string) => named.find((chardev) => chardev.id === id);
  const [first, ...others] = serial === undefined
    ? named
    : [parseLegacy(serial, { id: "serial0", find }), ...named];
  const chardev = onlySocket(first!);
  const text = input.get("backend");
  const backend = text === undefined
    ? others.find((other) => other !== chardev)
    : parseAnyChardev(text, { id: "backend0", device: "", find });
  if (backend === chardev) throw usage("a device cannot be its own back end", "name another one");
  for (const device of backend === undefined ? [chardev] : [chardev, backend]) sayOptions(device);
  if (chardev.server !== server) {
    throw usage(
      `${command} is for a socket with server=${server ? "on" : "off"}`,
      server
        ? `add server=on, or connect: ${typed("chardev client")}`
        : `leave server= out, or serve: ${typed("chardev server")}`,
    );
  }
  const devices = backend === undefined ? [chardev] : [chardev, backend];
  const objects = await makeDeviceObjects(input, devices);
  return { chardev, ...(backend === undefined ? {} : { backend }), objects };
}

/** Makes the objects that devices may name, and warns of an authorization that is not there. */
export async function makeDeviceObjects(
  input: Input,
  devices: readonly Chardev[],
): Promise<ObjectRegistry> {
  const { missingAuthz } = await import("../chardev/mod.ts");
  const sockets = devices.filter((device) => device.kind === "socket");
  const isPlain = sockets.every((socket) => socket.tlsCreds === undefined);
  const objects = await makeObjects(
    input,
    isPlain ? (id) => `add tls-creds=${id} to --chardev` : undefined,
  );
  for (const socket of sockets) {
    const missing = missingAuthz(socket, objects);
    if (missing !== undefined) {
      say(`warning: ${missing.message}: every peer will be refused`, ...missing.hints);
    }
  }
  return objects;
}

/** Says what QEMU warns of in the options of a device, and what has no effect. */
export function sayOptions(chardev: Chardev): void {
  for (const { text, hint } of [...chardev.warnings, ...chardev.ignored]) {
    say(`warning: ${text}`, hint);
  }
}

/** Opens the local side of a program; without a back end it is standard input and output. */
export async function openLocal(
  input: Input,
  { backend, objects }: Pick<Devices, "backend" | "objects">,
): Promise<Backend> {
  const { openBackend, stdioEnd } = await import("../chardev/mod.ts");
  if (backend === undefined) return stdioEnd();
  const local = await openBackend(backend, {
    objects,
    events: socketEvents(backend.id),
    keys: { escape: escapeKey(input) },
  });
  sayPty(backend, local);
  return local;
}

/** Says where a pseudo terminal is, in QEMU's words. */
export function sayPty(chardev: Chardev, end: Backend): void {
  if (chardev.kind !== "pty") return;
  say(
    `char device redirected to ${
      (end.base ?? end.filename).replace("pty:", "")
    } (label ${chardev.id})`,
  );
}

/** Whether a local side is a program or another device, which may speak TLS of its own. */
export function carriesTls(backend: Chardev | undefined): boolean {
  return backend !== undefined && ["exec", "pipe", "socket"].includes(backend.kind);
}

/** Standard input and output, as a device of its own. */
export function localStdio(): Chardev {
  return {
    kind: "stdio",
    id: "stdio0",
    text: "stdio",
    signal: false,
    mux: false,
    logappend: false,
    warnings: [],
    ignored: [],
  };
}

/** The escape key of `mux=on`. */
export function escapeKey(input: Input): number {
  return input.number("echr", 0, 255) ?? 1;
}

/** Says what happens to a socket that is one of two ends. */
export function socketEvents(id: string): SocketEvents {
  let told = "";
  return {
    listening: (address, waiting) => void sayListening(address, waiting, id),
    async connected(channel) {
      told = "";
      const { describeChannel } = await import("../chardev/mod.ts");
      say(`${id}: connected: ${describeChannel(channel)}`);
    },
    left: (how) => say(`${id}: ${how}`),
    refused: (peer, error) => sayError(`${id}: ${peer}`, error),
    retrying(error, wait) {
      // Once for each cause: it may go on for days.
      if (told === String(error)) return;
      told = String(error);
      if (error instanceof Error) sayError(`Unable to connect character device ${id}`, error);
      say(`${id}: dialling again in ${pauseText(wait)}`);
    },
    logFailed: (error) => sayError(id, error),
  };
}

/** A pause as it is said: it differs each time. */
export function pauseText(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Says where a socket listens and, in QEMU's words, that it waits for a client. */
export async function sayListening(
  address: SocketChardev["address"],
  waiting?: string,
  id?: string,
): Promise<void> {
  const { formatAddress } = await import("../channel/mod.ts");
  const place = address.kind === "fd" ? `fd:${address.fd}` : formatAddress(address);
  say(`${id === undefined ? "" : `${id}: `}listening on ${place}`);
  if (waiting !== undefined) say(`info: QEMU waiting for connection on: ${waiting}`);
}

function checkIds(devices: readonly Chardev[]): void {
  const seen = new Set<string>();
  for (const { id } of devices) {
    if (seen.has(id)) throw usage(`Duplicate ID '${id}' for chardev`, "give each its own id");
    seen.add(id);
  }
}
