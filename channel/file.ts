/** A file as a channel that is read, for what comes over a connection otherwise. */

import type { ByteChannel } from "../engine/mod.ts";
import { ChannelError, kernelReason } from "./error.ts";
import type { FileAddress } from "./transport.ts";

/**
 * Opens a file to be read from its offset on; nothing can be written to it.
 *
 * @throws {ChannelError} `FILE` If it cannot be opened, or is no regular file.
 */
export async function openFileChannel(address: FileAddress): Promise<ByteChannel> {
  const peer = `file:${address.path}`;
  const file = await openRegular(address, peer);
  let [closed, reading] = [false, false];
  const channel: ByteChannel = {
    peer,
    async read(into) {
      if (closed) return null;
      reading = true;
      try {
        return await file.read(into);
      } catch (error) {
        throw new ChannelError("CHANNEL_READ", { peer, cause: kernelReason(error) }, {
          cause: error,
        });
      } finally {
        reading = false;
        if (closed) file.close();
      }
    },
    write() {
      const cause = "a file is not answered";
      return Promise.reject(new ChannelError("CHANNEL_WRITE", { peer, cause }));
    },
    closeWrite: () => Promise.resolve(),
    close() {
      if (closed) return;
      closed = true;
      if (!reading) file.close();
    },
    [Symbol.asyncDispose]() {
      channel.close();
      return Promise.resolve();
    },
  };
  return channel;
}

function folderOf(path: string): string {
  return path.replace(/[^/]*$/, "") || ".";
}

function behindEnd(peer: string, offset: number, size: number): ChannelError {
  return new ChannelError("FILE", {
    peer,
    cause: `offset ${offset} is not within its ${size} bytes`,
    hint: "offset= is where a stream begins: take what it was saved with",
  });
}

async function openRegular({ path, offset }: FileAddress, peer: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile | undefined;
  try {
    // To open a FIFO waits for its writer, and no signal ends that.
    if (!(await Deno.stat(path)).isFile) throw new Error("Not a regular file");
    file = await Deno.open(path);
    const { size } = await file.stat();
    if (offset > 0 && offset >= size) throw behindEnd(peer, offset, size);
    await file.seek(offset, Deno.SeekMode.Start);
    return file;
  } catch (error) {
    file?.close();
    if (error instanceof Deno.errors.NotCapable || error instanceof ChannelError) throw error;
    throw new ChannelError("FILE", {
      peer,
      cause: kernelReason(error),
      hint: `what is there: ls -l ${error instanceof Deno.errors.NotFound ? folderOf(path) : path}`,
    }, { cause: error });
  }
}
