/** As much of the NBD protocol (proto.md of NetworkBlockDevice/nbd) as TLS with QEMU needs. */

import type { ByteChannel } from "../../engine/mod.ts";
import { readExactly } from "../support/channels.ts";

const NBD_MAGIC = 0x4e42444d41474943n;
const OPTION_MAGIC = 0x49484156454f5054n;
const REPLY_MAGIC = 0x0003e889045565a9n;
const REQUEST_MAGIC = 0x25609513;
const SIMPLE_REPLY_MAGIC = 0x67446698;

const FIXED_NEWSTYLE_AND_NO_ZEROES = 3;
const Option = { LIST: 3, STARTTLS: 5, INFO: 6, GO: 7 } as const;
const Reply = { ACK: 1, SERVER: 2, INFO: 3, ERR_UNSUP: 0x80000001 } as const;
const Command = { READ: 0, DISC: 2 } as const;

const SIZE = 1 << 20;

type Field = readonly [width: 2 | 4 | 8, value: number | bigint];

function pack(...fields: readonly Field[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const [width, value] of fields) {
    if (width === 8) view.setBigUint64(offset, BigInt(value));
    else if (width === 4) view.setUint32(offset, Number(value));
    else view.setUint16(offset, Number(value));
    offset += width;
  }
  return bytes;
}

async function read(channel: ByteChannel, length: number): Promise<DataView> {
  return new DataView((await readExactly(channel, length)).buffer);
}

async function readOption(channel: ByteChannel): Promise<number> {
  const head = await read(channel, 16);
  const length = head.getUint32(12);
  if (length > 0) await read(channel, length);
  return head.getUint32(8);
}

function reply(option: number, type: number, body: Uint8Array = new Uint8Array()): Uint8Array {
  const head = pack([8, REPLY_MAGIC], [4, option], [4, type], [4, body.length]);
  return Uint8Array.of(...head, ...body);
}

/** Takes a client of a server's socket up to where TLS begins. */
export async function acceptStartTls(channel: ByteChannel): Promise<void> {
  await channel.write(pack([8, NBD_MAGIC], [8, OPTION_MAGIC], [2, FIXED_NEWSTYLE_AND_NO_ZEROES]));
  await read(channel, 4);
  const option = await readOption(channel);
  if (option !== Option.STARTTLS) throw new Error(`option ${option} came before TLS`);
  await channel.write(reply(option, Reply.ACK));
}

/** Serves an empty disk of 1 MiB until the client has enough. */
export async function serveDisk(channel: ByteChannel): Promise<void> {
  for (let going = false; !going;) {
    const option = await readOption(channel);
    if (option === Option.GO || option === Option.INFO) {
      await channel.write(reply(option, Reply.INFO, pack([2, 0], [8, SIZE], [2, 1])));
      await channel.write(reply(option, Reply.ACK));
      going = option === Option.GO;
    } else await channel.write(reply(option, Reply.ERR_UNSUP));
  }
  for (;;) {
    const request = await read(channel, 28);
    if (request.getUint32(0) !== REQUEST_MAGIC) throw new Error("no request came");
    const command = request.getUint16(6);
    if (command === Command.DISC) return;
    const data = new Uint8Array(command === Command.READ ? request.getUint32(24) : 0);
    const head = pack([4, SIMPLE_REPLY_MAGIC], [4, 0], [8, request.getBigUint64(8)]);
    await channel.write(Uint8Array.of(...head, ...data));
  }
}

/** Takes a connection to a server up to where TLS begins. */
export async function dialStartTls(channel: ByteChannel): Promise<void> {
  const greeting = await read(channel, 18);
  if (greeting.getBigUint64(8) !== OPTION_MAGIC) throw new Error("no NBD server is there");
  await channel.write(pack([4, FIXED_NEWSTYLE_AND_NO_ZEROES]));
  await channel.write(pack([8, OPTION_MAGIC], [4, Option.STARTTLS], [4, 0]));
  const answer = await read(channel, 20);
  if (answer.getUint32(12) !== Reply.ACK) throw new Error("the server starts no TLS");
}

/** Asks a server for the names of its exports. */
export async function listExports(channel: ByteChannel): Promise<string[]> {
  await channel.write(pack([8, OPTION_MAGIC], [4, Option.LIST], [4, 0]));
  const names: string[] = [];
  for (;;) {
    const head = await read(channel, 20);
    const body = await readExactly(channel, head.getUint32(16));
    if (head.getUint32(12) !== Reply.SERVER) return names;
    const length = new DataView(body.buffer).getUint32(0);
    names.push(new TextDecoder().decode(body.subarray(4, 4 + length)));
  }
}
