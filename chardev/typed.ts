/** Bytes sent so that an old QEMU hands all of them to the guest. */

import type { ByteChannel } from "../engine/mod.ts";

/**
 * Sends bytes over TLS to what may be a QEMU before 10.0: its serial port takes few bytes of a
 * record, and it looks at the rest of a decrypted record only while there is more on the socket. So
 * the last byte has a record of its own, which stays on the socket until all before it is taken.
 */
export function sendTyped(channel: ByteChannel, bytes: Uint8Array): Promise<void> {
  return bytes.length === 1 ? channel.write(bytes) : sendPasted(channel, bytes);
}

async function sendPasted(channel: ByteChannel, bytes: Uint8Array): Promise<void> {
  if (bytes.length === 0) return;
  await channel.write(bytes.subarray(0, -1));
  await channel.write(bytes.subarray(-1));
}
