/** Bytes sent so that an old QEMU hands all of them to the guest. */

import type { ByteChannel } from "../engine/mod.ts";

/** Up to this many bytes at once are taken for typed ones. */
const TYPED = 64;

/**
 * Sends bytes over TLS to what may be a QEMU before 10.0: its serial port takes few bytes of a
 * record, and it looks at the rest of a decrypted record only when more comes from the socket. So
 * typed bytes go as one record each, and the last byte of a longer text has a record of its own,
 * which stays in the socket until all before it is taken.
 */
export async function sendTyped(channel: ByteChannel, bytes: Uint8Array): Promise<void> {
  let done = 0;
  if (bytes.length > TYPED) {
    done = bytes.length - 1;
    await channel.write(bytes.subarray(0, done));
  }
  for (; done < bytes.length; done++) await channel.write(bytes.subarray(done, done + 1));
}
