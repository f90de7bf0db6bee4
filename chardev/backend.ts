/** Any device as a local end. */

import { fileEnd, pipeEnd } from "./_file_ends.ts";
import { commandEnd } from "./_command_end.ts";
import { ptyEnd } from "./_pty_end.ts";
import { silence } from "./_pull.ts";
import type { Chardev } from "./kinds.ts";
import type { Backend } from "./local.ts";
import { keepLog } from "./log.ts";
import { muxEnd } from "./mux_end.ts";
import { ringBuffer } from "./ring_buffer.ts";
import { socketEnd, type SocketEndOptions } from "./socket_end.ts";
import { stdioEnd } from "./stdio.ts";

/**
 * Opens a device.
 *
 * @throws {ChardevError} `BACKEND` or `LOG` If a file cannot be opened.
 * @throws as {@linkcode socketEnd}.
 */
export async function openBackend(chardev: Chardev, options: SocketEndOptions): Promise<Backend> {
  const { keys = {} } = options;
  if (chardev.kind === "socket") return await socketEnd(chardev, options);
  const end = open(chardev);
  try {
    const logged = logWritten(end, chardev, options);
    if (!chardev.mux) return logged;
    return muxEnd(logged, keys);
  } catch (error) {
    await end[Symbol.asyncDispose]();
    throw error;
  }
}

function open(chardev: Exclude<Chardev, { kind: "socket" }>): Backend {
  switch (chardev.kind) {
    case "stdio":
      return stdioEnd(undefined, { signal: chardev.signal });
    case "pty":
      return ptyEnd();
    case "file":
      return fileEnd(chardev);
    case "pipe":
      return pipeEnd(chardev);
    case "exec":
      return commandEnd(chardev);
    case "ringbuf":
      return ringBuffer(chardev.size);
    case "null":
      return nullEnd();
  }
}

/** Nothing, as an end. */
export function nullEnd(): Backend {
  return {
    filename: "null",
    read: silence,
    write: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** What is written to a device is what the guest says: that is logged. */
function logWritten(end: Backend, chardev: Chardev, { events }: SocketEndOptions): Backend {
  if (chardev.logfile === undefined) return end;
  const log = keepLog(chardev, events.logFailed);
  return {
    ...end,
    write(bytes) {
      log.write(bytes);
      return end.write(bytes);
    },
    async [Symbol.asyncDispose]() {
      log[Symbol.dispose]();
      await end[Symbol.asyncDispose]();
    },
  };
}
