/** A new pseudo terminal as a local end. */

import { pause } from "../base/mod.ts";
import { openPty, SystemError } from "../os/mod.ts";
import { cannotOpen, NEEDS_LIBC } from "./_cannot_open.ts";
import { pullReader } from "./_pull.ts";
import type { Backend } from "./local.ts";

/** How often in ms one is looked at that nobody has open. */
const LOOK = 100;
/** EIO: how a read says that nobody has it open. */
const NOBODY = 5;

/**
 * Makes one. What is written while nobody has it open is dropped, as on a serial line; what opens it
 * may leave and come back.
 *
 * @throws {ChardevError} `BACKEND` If the kernel gives none.
 */
export function ptyEnd(): Backend {
  let pty: ReturnType<typeof openPty>;
  try {
    pty = openPty();
  } catch (error) {
    throw cannotOpen("a pseudo terminal", error, "is /dev/pts mounted? see: mount | grep devpts");
  }
  if (pty === undefined) throw cannotOpen("a pseudo terminal", NEEDS_LIBC);
  const { descriptor, path, isOpen } = pty;
  const closed = new AbortController();
  return {
    filename: `pty:${path}`,
    read: pullReader(async (into) => {
      for (;;) {
        try {
          if (isOpen()) return await descriptor.read(into) || null;
        } catch (error) {
          if (!(error instanceof SystemError) || error.errno !== NOBODY) throw error;
        }
        try {
          await pause(LOOK, closed.signal);
        } catch {
          return null;
        }
      }
    }),
    async write(bytes) {
      for (let done = 0; done < bytes.length && isOpen();) {
        const count = await descriptor.write(bytes.subarray(done));
        if (count === null) return;
        done += count;
      }
    },
    [Symbol.asyncDispose]() {
      closed.abort();
      pty[Symbol.dispose]();
      return Promise.resolve();
    },
  };
}
