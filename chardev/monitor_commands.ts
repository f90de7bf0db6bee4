/** The commands of a monitor that change and show the devices of a program, in QEMU's words. */

import { VirtcredsError } from "../base/mod.ts";
import {
  type HmpCommand,
  int,
  type JsonValue,
  MonitorError,
  type MonitorSession,
  oneOf,
  optional,
  type QmpCommand,
  qmpCommand,
  refused,
  text,
} from "../monitor/mod.ts";
import { BACKEND, BACKEND_NAMES, type BackendOptions } from "./_qmp_backend.ts";
import { refuse } from "./_refuse.ts";
import type { Board } from "./board.ts";
import { ChardevError } from "./error.ts";
import type { Chardev, SocketChardev } from "./kinds.ts";
import type { Backend } from "./local.ts";
import { parseChardev, parseFramed } from "./options.ts";
import type { RingBuffer } from "./ring_buffer.ts";

/** The commands of QMP. */
export function chardevQmp(board: Board): readonly QmpCommand[] {
  return [
    qmpCommand({
      name: "chardev-add",
      members: { id: text, backend: BACKEND },
      async run({ id, backend }, session) {
        if (board.has(id)) throw refused(`Chardev with id '${id}' already exists`);
        return ptyAnswer(await adding(id, () => board.add(fromQmp(id, backend, session))));
      },
    }),
    qmpCommand({
      name: "chardev-change",
      members: { id: text, backend: BACKEND },
      async run({ id, backend }, session) {
        if (!board.has(id)) throw refused(`Chardev '${id}' does not exist`);
        return ptyAnswer(await changing(board, id, () => fromQmp(id, backend, session)));
      },
    }),
    qmpCommand({
      name: "chardev-remove",
      members: { id: text },
      run: async ({ id }) => await board.remove(id),
    }),
    qmpCommand({
      name: "chardev-send-break",
      members: { id: text },
      run: async ({ id }) => await board.sendBreak(id),
    }),
    qmpCommand({
      name: "query-chardev",
      run: (): JsonValue =>
        board.rows().map(({ label, filename, frontendOpen }) => ({
          "frontend-open": frontendOpen,
          filename,
          label,
        })),
    }),
    qmpCommand({
      name: "query-chardev-backends",
      run: (): JsonValue => BACKEND_NAMES.map((name) => ({ name })),
    }),
    qmpCommand({
      name: "ringbuf-read",
      members: { device: text, size: int, format: optional(oneOf(["utf8", "base64"])) },
      run({ device, size, format }) {
        const ring = ringOf(board, device);
        if (size <= 0n) throw refused("size must be greater than zero");
        const bytes = ring.take(Number(size));
        return format === "base64" ? btoa(String.fromCharCode(...bytes)) : decode(bytes);
      },
    }),
    qmpCommand({
      name: "ringbuf-write",
      members: { device: text, data: text, format: optional(oneOf(["utf8", "base64"])) },
      async run({ device, data, format }) {
        const ring = ringOf(board, device);
        await ring.write(format === "base64" ? fromBase64(data) : encode(data));
      },
    }),
  ];
}

/** The commands of the human monitor. */
export function chardevHmp(board: Board): readonly HmpCommand[] {
  const id = { kind: "string", name: "id" } as const;
  const args = { kind: "rest", name: "args" } as const;
  const complete = () => board.rows().map(({ label }) => label);
  return [
    {
      name: "chardev-add",
      parameters: [args],
      usage: "args",
      help: "add chardev",
      async run(given, session) {
        const text = given.get("args");
        const taken = /(?:^|,)id=([^,]*)/.exec(text)?.[1];
        if (taken !== undefined && board.uses(taken)) {
          throw refused(`Duplicate ID '${taken}' for chardev`);
        }
        const chardev = parseChardev(text, takeNamed(session));
        if (board.has(chardev.id)) {
          throw refused(
            `attempt to add duplicate property '${chardev.id}' to object (type 'container')`,
          );
        }
        return redirected(chardev, await board.add(chardev));
      },
    },
    {
      name: "chardev-change",
      parameters: [id, args],
      usage: "id args",
      help: "change chardev",
      complete,
      async run(given, session) {
        const [name, options] = [given.get("id"), given.get("args")];
        if (/(^|,)id=/.test(options)) throw refused("Unexpected 'id' parameter");
        const frame = { text: options, id: name, before: [], anyId: true };
        const chardev = parseFramed(options, "backend", frame, takeNamed(session));
        if (!board.has(name)) throw refused(`Chardev '${name}' does not exist`);
        return redirected(chardev, await changing(board, name, () => chardev));
      },
    },
    {
      name: "chardev-remove",
      parameters: [id],
      usage: "id",
      help: "remove chardev",
      complete,
      run: async (given) => await board.remove(given.get("id")),
    },
    {
      name: "chardev-send-break",
      parameters: [id],
      usage: "id",
      help: "send a break on chardev",
      complete,
      run: async (given) => await board.sendBreak(given.get("id")),
    },
    {
      name: "info chardev",
      help: "show the character devices",
      run: () =>
        board.rows().map(({ label, filename }) => `${label}: filename=${filename}`).join("\n"),
    },
    {
      name: "ringbuf_read",
      parameters: [{ kind: "string", name: "device" }, { kind: "int", name: "size" }],
      usage: "device size",
      help: "Read from a ring buffer character device",
      run(given) {
        const bytes = ringOf(board, given.get("device")).take(Number(given.get("size")));
        return decode(bytes).replaceAll("\\", "\\\\");
      },
    },
    {
      name: "ringbuf_write",
      parameters: [{ kind: "string", name: "device" }, { kind: "string", name: "data" }],
      usage: "device data",
      help: "Write to a ring buffer character device",
      run: async (given) =>
        await ringOf(board, given.get("device")).write(encode(given.get("data"))),
    },
  ];
}

/** Makes a device of a command's argument. */
function fromQmp(id: string, backend: BackendOptions, session: MonitorSession): Chardev {
  if (backend.refusal !== undefined) throw refused(backend.refusal);
  const before = [...backend.options];
  if (backend.descriptor !== undefined) before.push(["fd", backend.descriptor]);
  const frame = { text: id, id, before, anyId: true };
  const chardev = parseFramed("", undefined, frame, takeNamed(session));
  if (chardev.kind !== "socket") return chardev;
  if (backend.vsock) return vsockOf(chardev);
  return backend.keepAlive === undefined ? chardev : { ...chardev, keepAlive: backend.keepAlive };
}

/** There is none of it; QEMU has none with TLS. */
function vsockOf(chardev: SocketChardev): Chardev {
  if (chardev.tlsCreds === undefined) throw refused("socket family AF_VSOCK unsupported");
  const conflict = refuse(
    chardev.text,
    "'tls_creds' option is incompatible with 'vsock' address type",
    "TLS needs an address of type inet",
  );
  return { ...chardev, conflict };
}

/** Takes what `getfd` has named; one that is refused before is still there. */
function takeNamed({ descriptors }: MonitorSession): (name: string) => number {
  return (name) => {
    const number = descriptors.take(name);
    if (number !== undefined) return number;
    throw refused(`File descriptor named '${name}' has not been found`);
  };
}

/** Changes a device; in the place of one that nothing uses, QEMU adds it anew. */
function changing(board: Board, id: string, make: () => Chardev): Promise<Backend> {
  const work = async () => await board.change(make());
  return board.uses(id) ? work() : adding(id, work);
}

/** Says of a failure which device was not added. */
async function adding(id: string, work: () => Promise<Backend>): Promise<Backend> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VirtcredsError)) throw error;
    // What is wrong with the device that is there is told as it is.
    if (error instanceof ChardevError && error.code === "DEVICE") throw error;
    throw refused(`Failed to add chardev '${id}': ${error.message}`);
  }
}

/** What is answered where a pseudo terminal was made. */
function ptyAnswer({ filename: name, base: filename = name }: Backend): JsonValue {
  return filename.startsWith("pty:") ? { pty: filename.slice(4) } : {};
}

function redirected(
  { id }: Chardev,
  { filename: name, base: filename = name }: Backend,
): string | void {
  if (!filename.startsWith("pty:")) return;
  return `char device redirected to ${filename.slice(4)} (label ${id})`;
}

function ringOf(board: Board, id: string): RingBuffer {
  const device = board.find(id);
  if (device === undefined) throw new MonitorError("GENERIC", { text: `Device '${id}' not found` });
  if (!("take" in device)) throw refused(`${id} is not a ringbuf device`);
  return device as RingBuffer;
}

function fromBase64(data: string): Uint8Array {
  try {
    return Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  } catch {
    throw refused("invalid base64 data");
  }
}

const encode = (data: string) => new TextEncoder().encode(data);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
