/** A guest is on disk before its source is told that it may let go of it. */

import { assert, assertEquals } from "@std/assert";
import type { ByteChannel } from "../../engine/mod.ts";
import { builtInGuest, GUEST_BLOCK } from "../../migration/guest.ts";
import { guestMemory } from "../../migration/guest_memory.ts";
import { MultifdWriter } from "../../migration/multifd_writer.ts";
import { plainStream } from "../../migration/page_sink.ts";
import { receiveStream } from "../../migration/receive.ts";
import { receivePages } from "../../migration/receive_pages.ts";
import { sendStream } from "../../migration/send.ts";
import { sendToFile } from "../../migration/send_to_file.ts";
import { fileSink } from "../../migration/sink.ts";
import { pair } from "../support/channels.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { collected, guestStream, readWhole, stillGuest } from "./streams.ts";

const MiB = 2 ** 20;
const SHUT_0 = "0,1,0,4,0,0,0,0";

/** What was made durable and acknowledged, in order, each with what the folder held then. */
interface Log extends Disposable {
  readonly order: string[];
  note(what: string): void;
}

/** Notes each fsync when it is over, which takes a while. */
function watchDisk(folder: string): Log {
  const { sync, syncSync } = Deno.FsFile.prototype;
  const order: string[] = [];
  const note = (what: string) => {
    const files = [...Deno.readDirSync(folder)].map(({ name }) => {
      return `${name} ${Deno.statSync(`${folder}/${name}`).size}`;
    });
    order.push(`${what}: ${files.sort().join(", ")}`);
  };
  Deno.FsFile.prototype.sync = async function () {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await sync.call(this);
    note("on disk");
  };
  Deno.FsFile.prototype.syncSync = function () {
    syncSync.call(this);
    note("named");
  };
  return {
    order,
    note,
    [Symbol.dispose]: () => void Object.assign(Deno.FsFile.prototype, { sync, syncSync }),
  };
}

/** Notes the acknowledgement as it leaves. */
function noting(channel: ByteChannel, log: Log): ByteChannel {
  return {
    ...channel,
    write(bytes) {
      if (bytes.join().endsWith(SHUT_0)) log.note("acknowledged");
      return channel.write(bytes);
    },
  };
}

Deno.test("a stream is on disk, then has its name, then is acknowledged", async () => {
  using temp = temporaryDirectory();
  using log = watchDisk(temp.path);
  const [source, target] = pair();
  const guest = stillGuest(MiB);
  const [sent] = await Promise.all([
    sendStream(source, guest),
    receiveStream(noting(target, log), { begin: () => fileSink(`${temp.path}/guest`) }),
  ]);
  assertEquals(sent.acknowledged, "shut");
  assertEquals(log.order, [
    `on disk: guest.partial ${guest.length}`,
    `named: guest ${guest.length}`,
    `acknowledged: guest ${guest.length}`,
  ]);
});

Deno.test("a guest that came over multifd is on disk, then has its name, then is acknowledged", async () => {
  using temp = temporaryDirectory();
  using log = watchDisk(temp.path);
  const [source, target] = pair();
  const pairs = [pair(), pair()];
  const guest = builtInGuest({ ram: 2 * MiB });
  const multifd = new MultifdWriter(pairs.map(([end]) => end), {
    ...{ channels: 2, compression: "none", level: 1, zeroPages: false, flushWord: false },
  });
  const [sent] = await Promise.all([
    sendStream(source, guest, { context: { multifd } }),
    receivePages(noting(target, log), {
      channels: pairs.map(([, end]) => end),
      begin: () => plainStream(fileSink(`${temp.path}/guest`)),
    }),
  ]);
  assertEquals(sent.acknowledged, "shut");
  const { size } = Deno.statSync(`${temp.path}/guest`);
  assertEquals(log.order, [
    `on disk: guest.partial ${size}`,
    `named: guest ${size}`,
    `acknowledged: guest ${size}`,
  ]);
  const memory = guestMemory(2 * MiB);
  readWhole(Deno.readFileSync(`${temp.path}/guest`), MiB, { visitor: memory });
  assertEquals((await memory.digests()).get(GUEST_BLOCK), await guest.digest());
});

Deno.test("a migration into a file is over when all of it is on disk", async () => {
  using temp = temporaryDirectory();
  const guest = stillGuest(MiB);
  for (const offset of [0, 512]) {
    const path = `${temp.path}/at-${offset}`;
    using log = watchDisk(temp.path);
    await sendToFile({ kind: "file", path, offset }, guest, {});
    const last = offset === 0 ? `at-0.partial ${guest.length}` : `at-512 ${guest.length + 512}`;
    assert(log.order[0]?.startsWith("on disk: ") && log.order[0].includes(last), `${log.order}`);
    assertEquals(log.order.length, offset === 0 ? 2 : 1);
    assertEquals(Deno.readFileSync(path).subarray(offset), collected(guestStream(MiB)));
  }
});
