/** `logfile=`: a copy of what the guest writes. */

import { systemReason } from "../base/mod.ts";
import { ChardevError } from "./error.ts";
import type { CommonChardev } from "./kinds.ts";

/** An open log. */
export interface GuestLog extends Disposable {
  /**
   * Appends bytes.
   *
   * @throws {ChardevError} `LOG_WRITE` If they cannot be written.
   */
  write(bytes: Uint8Array): void;
}

/**
 * Opens a log file: emptied unless `append`.
 *
 * QEMU logs what its front end, the guest, writes. A chardev program has the guest on the other
 * end of the socket, so what is logged here is what the peer sends; what is typed is not.
 *
 * @throws {ChardevError} `LOG` If it cannot be opened.
 */
export function openLog(file: string, append: boolean): GuestLog {
  const handle = open(file, append);
  return {
    write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += handle.writeSync(bytes.subarray(done));
      } catch (error) {
        throw new ChardevError("LOG_WRITE", {
          file,
          cause: reason(error),
          hint: "the console goes on without its log; make room and start it again to have one",
        }, { cause: error });
      }
    },
    [Symbol.dispose]: () => handle.close(),
  };
}

/**
 * The log of a device, or one that takes nothing where it has none. A log that cannot be written
 * any more ends there, is told once, and leaves the console alone.
 *
 * @throws {ChardevError} `LOG` If it cannot be opened.
 */
export function keepLog(
  chardev: Pick<CommonChardev, "logfile" | "logappend">,
  onFailed: (error: unknown) => void,
): GuestLog {
  if (chardev.logfile === undefined) return { write() {}, [Symbol.dispose]() {} };
  const log = openLog(chardev.logfile, chardev.logappend);
  let failed = false;
  return {
    write(bytes) {
      if (failed) return;
      try {
        log.write(bytes);
      } catch (error) {
        failed = true;
        onFailed(error);
      }
    },
    [Symbol.dispose]: () => log[Symbol.dispose](),
  };
}

function open(file: string, append: boolean): Deno.FsFile {
  try {
    return Deno.openSync(file, { create: true, write: true, truncate: !append, append });
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    throw new ChardevError("LOG", {
      file,
      cause: capital(reason(error)),
      hint: error instanceof Deno.errors.NotFound
        ? `create its folder first: mkdir -p ${file.replace(/\/[^/]*$/, "") || "/"}`
        : "name another logfile=, or leave it out",
    }, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? systemReason(error) : String(error);
}

/** As QEMU prints what strerror() gives. */
function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
