/** The devices of a program by their ids, added, exchanged and taken away while it runs. */

import { openBackend } from "./backend.ts";
import { ChardevError } from "./error.ts";
import type { Chardev } from "./kinds.ts";
import type { Backend } from "./local.ts";
import type { MuxHandlers } from "./mux.ts";
import type { SocketEndOptions } from "./socket_end.ts";
import { type Swappable, swappable } from "./swappable.ts";

/** How the devices of a program are opened. */
export interface BoardOptions extends Omit<SocketEndOptions, "events" | "keys"> {
  /** Hears of what happens to a device. */
  events(id: string): SocketEndOptions["events"];
  /** What the escape key of a device does. */
  keysOf?(chardev: Chardev): MuxHandlers;
}

/** A device as `query-chardev` shows it. */
export interface DeviceRow {
  readonly label: string;
  readonly filename: string;
  /** Whether the program uses it, so that it cannot be taken away. */
  readonly frontendOpen: boolean;
}

/** The devices. */
export interface Board extends AsyncDisposable {
  /**
   * Opens a device that nothing uses yet.
   *
   * @throws {ChardevError} `DEVICE` If there is one of that id.
   * @throws as {@linkcode openBackend}.
   */
  add(chardev: Chardev): Promise<Backend>;
  /** Opens a device that the program uses; it cannot be taken away, but exchanged. */
  use(chardev: Chardev): Promise<Swappable>;
  /**
   * Puts a device in the place of one, which is closed once the new one is open.
   *
   * @throws {ChardevError} `DEVICE` If there is none of that id, or it is a mux.
   */
  change(chardev: Chardev): Promise<Backend>;
  /** Closes one that nothing uses. @throws {ChardevError} `DEVICE` If there is none, or it is used. */
  remove(id: string): Promise<void>;
  /** Sends a break. @throws {ChardevError} `DEVICE` If there is none. */
  sendBreak(id: string): Promise<void>;
  has(id: string): boolean;
  /** Whether the program uses a device of this id, or will once its first client is there. */
  uses(id: string): boolean;
  /** The device of an id, where there is one. */
  find(id: string): Backend | undefined;
  rows(): DeviceRow[];
}

/** Makes a board without devices. */
export function makeBoard(options: BoardOptions): Board {
  const devices = new Map<string, Swappable>();
  const used = new Set<string>();
  /** The ids of those that wait for their first client before they are there. */
  const coming = new Set<string>();
  const stop = new AbortController();
  const signal = options.signal === undefined
    ? stop.signal
    : AbortSignal.any([options.signal, stop.signal]);
  const open = (chardev: Chardev) =>
    openBackend(chardev, {
      ...options,
      signal,
      events: options.events(chardev.id),
      keys: options.keysOf?.(chardev) ?? {},
    });

  /** What a mux is made of has an id too: `m-base`. */
  const isBase = (id: string) =>
    id.endsWith("-base") && devices.get(id.slice(0, -"-base".length))?.base !== undefined;
  const has = (id: string) => devices.has(id) || isBase(id);

  async function put(chardev: Chardev, use: boolean): Promise<Swappable> {
    const { id } = chardev;
    if (has(id) || coming.has(id)) {
      throw new ChardevError("DEVICE", { text: `Chardev with id '${id}' already exists` });
    }
    coming.add(id);
    if (use) used.add(id);
    try {
      const end = swappable(await open(chardev));
      devices.set(id, end);
      return end;
    } catch (error) {
      used.delete(id);
      throw error;
    } finally {
      coming.delete(id);
    }
  }

  function get(id: string, otherwise: string) {
    const found = devices.get(id);
    if (found === undefined) {
      throw new ChardevError("DEVICE", {
        text: `Chardev '${id}' ${otherwise}`,
        hint: "`info chardev` and query-chardev list them",
      });
    }
    return found;
  }

  return {
    async add(chardev) {
      const end = await put(chardev, false);
      // It ends with the device, or never: nobody waits for it.
      end.device.connect?.().catch(() => {});
      return end;
    },
    use: (chardev) => put(chardev, true),
    async change(chardev) {
      const { id } = chardev;
      if (isBase(id)) {
        throw new ChardevError("DEVICE", { text: "Chardev user does not support chardev hotswap" });
      }
      const end = get(id, "does not exist");
      if (end.base !== undefined) {
        throw new ChardevError("DEVICE", { text: "Mux device hotswap not supported yet" });
      }
      await end.swap(await open(chardev));
      return end;
    },
    async remove(id) {
      if (used.has(id) || isBase(id)) {
        throw new ChardevError("DEVICE", { text: `Chardev '${id}' is busy` });
      }
      const end = get(id, "not found");
      devices.delete(id);
      await end[Symbol.asyncDispose]();
    },
    async sendBreak(id) {
      if (!isBase(id)) await get(id, "not found").sendBreak?.();
    },
    has,
    uses: (id) => used.has(id),
    find: (id) => devices.get(id)?.device,
    rows: () =>
      [...devices].flatMap(([label, end]) => {
        const row = { label, filename: end.filename, frontendOpen: used.has(label) };
        if (end.base === undefined) return [row];
        return [row, { ...row, label: `${label}-base`, filename: end.base }];
      }),
    async [Symbol.asyncDispose]() {
      stop.abort(new DOMException("all devices are closed", "AbortError"));
      for (const end of devices.values()) await end[Symbol.asyncDispose]();
      devices.clear();
    },
  };
}
