/** The destination's part of the return path: PONG, SHUT, and the goodbye. */

import type { ByteChannel } from "../engine/mod.ts";
import { MigrationError } from "./error.ts";
import { pongMessage, shutMessage } from "./return_path.ts";
import type { StreamCommand } from "./stream_command.ts";

/** Longest time in ms for the goodbye of a source whose stream is whole. */
const GOODBYE_TIMEOUT = 2_000;
/** Unanswered PINGs that are kept; QEMU sends four in a whole migration. */
const MAX_PINGS = 256;

/** Says to the source what it waits for, and nothing where it does not listen. */
export class WayBack {
  #isOpen = false;
  readonly #messages: Uint8Array[] = [];
  #sending: Promise<void> | undefined;

  constructor(readonly channel: ByteChannel) {}

  /** Whether the source opened it. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Notes what a command asks for.
   *
   * @throws {MigrationError} `STREAM_LIMIT` if a source asks too much.
   */
  take(command: StreamCommand): void {
    if (command.name === "OPEN_RETURN_PATH") this.#isOpen = true;
    if (command.value !== undefined) this.send(pongMessage(command.value));
  }

  /** Sends a message, behind those that wait; a source that is gone shows when it is read from. */
  send(message: Uint8Array): void {
    if (this.#messages.push(message) > MAX_PINGS) {
      throw new MigrationError("STREAM_LIMIT", { cause: "it has too many PINGs" });
    }
    // Later, so that a reader in the middle of a chunk is not entered again.
    this.#sending ??= Promise.resolve().then(() => this.#flush());
  }

  /** The source waits for SHUT where it opened the way back, and for nothing otherwise. */
  async sayGoodbye(): Promise<void> {
    await this.#within(async () => {
      if (this.#isOpen) await this.channel.write(shutMessage(0));
      await this.channel.closeWrite();
      const rest = new Uint8Array(64 * 1024);
      while (await this.channel.read(rest) !== null);
    });
  }

  /** Tells the source that it must fail. */
  async refuse(): Promise<void> {
    if (this.#isOpen) await this.#within(() => this.channel.write(shutMessage(1)));
  }

  async #flush(): Promise<void> {
    try {
      while (this.#messages.length > 0) await this.channel.write(this.#messages.shift()!);
    } catch {
      this.#messages.length = 0;
    } finally {
      this.#sending = undefined;
    }
  }

  async #within(work: () => Promise<void>): Promise<void> {
    const timer = setTimeout(() => this.channel.close(), GOODBYE_TIMEOUT);
    try {
      await this.#sending;
      await work();
    } catch {
      // Whether all is stored or all is lost: how the source leaves changes nothing.
    } finally {
      clearTimeout(timer);
    }
  }
}
