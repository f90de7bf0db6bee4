/**
 * The built-in guest: memory that it writes to while it runs and no devices, for a rehearsal
 * without a virtual machine. A QEMU takes it where it is given that one's machine type and the
 * name of its memory.
 */

import { MigrationError } from "./error.ts";
import { defaultCapabilities } from "./capabilities.ts";
import { LiveGuest, type LiveGuestOptions } from "./live_guest.ts";
import { defaultParameters } from "./parameters.ts";
import { precopy } from "./precopy.ts";
import { initialState } from "./state.ts";
import type { StreamSource } from "./stream_file.ts";
import { DEFAULT_PAGE_SIZE } from "./stream_constants.ts";

/** The machine type that the built-in guest gives itself. */
export const GUEST_MACHINE = "virtcreds-guest-1";
/** Its only RAM block. */
export const GUEST_BLOCK = "guest.ram";
/** Largest size in bytes. */
export const MAX_GUEST_RAM = 2 ** 44;

/**
 * Reads a size as QEMU's `-m` takes it: a number with `K`, `M`, `G` or `T`, megabytes without.
 *
 * @returns Bytes.
 * @throws {MigrationError} `GUEST` if it is no size, not whole pages, or too much.
 */
export function parseGuestRam(text: string): number {
  const match = /^(\d{1,12})([KMGT]?)(i?B)?$/i.exec(text);
  const unit = { K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };
  const size = match === null
    ? NaN
    : Number(match[1]) * (unit[match[2]!.toUpperCase() as keyof typeof unit] ?? unit.M);
  if (size >= DEFAULT_PAGE_SIZE && size <= MAX_GUEST_RAM && size % DEFAULT_PAGE_SIZE === 0) {
    return size;
  }
  throw new MigrationError("GUEST", {
    cause: `'${text.slice(0, 40)}' is not a size in whole pages from 4K to 16T`,
    hint: "give it as QEMU's -m: 64M, 4G",
  });
}

/** A guest of this toolkit. */
export interface GuestOptions extends LiveGuestOptions {
  /** The machine type that it gives itself; {@linkcode GUEST_MACHINE} by default. */
  readonly machine?: string;
  /** The name of its memory; {@linkcode GUEST_BLOCK} by default. */
  readonly block?: string;
}

/** A guest of this toolkit, that runs and can be sent. */
export interface BuiltInGuest extends StreamSource {
  /** SHA-256 of its memory, in hexadecimal. */
  digest(): Promise<string>;
}

/** Makes a guest that stands still until it is sent, or told to run. */
export function builtInGuest(options: GuestOptions): BuiltInGuest {
  const { machine = GUEST_MACHINE, block = GUEST_BLOCK } = options;
  const guest = new LiveGuest(options);
  return {
    returnPath: true,
    machine,
    chunks: (context = {}) =>
      precopy(guest, {
        parameters: defaultParameters(),
        capabilities: defaultCapabilities(),
        state: initialState(),
        ...context,
        machine,
        block,
      }),
    abandon: () => guest.run(),
    digest: () => guest.digest(),
    run: (running) => running ? guest.run() : guest.stop(),
  };
}
