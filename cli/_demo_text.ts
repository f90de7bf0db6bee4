/** Text that is waited for on a channel. */

import { BaseError } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";

/** Longest wait in ms: an emulated guest on a busy machine takes its time. */
const PATIENCE = 60_000;

/**
 * Reads until a text has come.
 *
 * @returns All that was read.
 * @throws {BaseError} `TIMEOUT` If it does not come.
 */
export async function readUntil(channel: ByteChannel, wanted: string): Promise<string> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    channel.close();
  }, PATIENCE);
  const buffer = new Uint8Array(4096);
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (!text.includes(wanted)) {
      const count = await channel.read(buffer);
      if (count === null) break;
      text += decoder.decode(buffer.subarray(0, count), { stream: true });
    }
  } catch (error) {
    if (!late) throw error;
  } finally {
    clearTimeout(timer);
  }
  if (text.includes(wanted)) return text;
  throw new BaseError("TIMEOUT", {
    option: `waiting for "${wanted.trim()}"`,
    cause: `the serial port gave ${text.length} bytes of other text`,
  });
}
