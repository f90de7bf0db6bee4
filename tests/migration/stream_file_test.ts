import { assertEquals, assertRejects } from "@std/assert";
import { BaseError } from "../../base/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { openStreamFile } from "../../migration/stream_file.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { collected, guestStream, hex, joined, records } from "./streams.ts";

async function read(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return joined(parts);
}

Deno.test("openStreamFile() gives the bytes up to the end marker, as often as one likes", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  for (const stream of [joined(records()), collected(guestStream(9 * 1024 * 1024))]) {
    Deno.writeFileSync(file, joined([stream, hex("ff00ff")]));
    using opened = await openStreamFile(file);
    assertEquals(opened.length, stream.length);
    assertEquals(opened.returnPath, true);
    for (let i = 0; i < 2; i++) assertEquals(await read(opened.chunks()), stream);
  }
});

Deno.test("openStreamFile() names the file that is no whole stream", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  const whole = joined(records());
  const cases: [Uint8Array, string][] = [
    [new Uint8Array(0), "it ends at byte 0, before its header"],
    [whole.subarray(0, 5000), "it ends at byte 5000, inside section 'ram'"],
    [hex("4c69627669727451656d7564"), "Not a migration stream at byte 0"],
  ];
  for (const [bytes, text] of cases) {
    Deno.writeFileSync(file, bytes);
    const error = await assertRejects(() => openStreamFile(file), MigrationError, text);
    assertEquals(error.code, "FILE_STREAM");
    assertEquals(error.facts.file, file);
  }
});

Deno.test("openStreamFile() refuses what is no file", async () => {
  using temp = temporaryDirectory();
  const fifo = `${temp.path}/fifo`;
  assertEquals((await new Deno.Command("mkfifo", { args: [fifo] }).output()).code, 0);
  const cases: [string, string][] = [
    [fifo, "it is not a regular file"],
    [`${temp.path}/none`, "no such file or directory"],
    [temp.path, "cannot read"],
    ["/dev/zero", "it is not a regular file"],
  ];
  for (const [file, text] of cases) {
    await assertRejects(() => openStreamFile(file), BaseError, text);
  }
});

Deno.test("openStreamFile() notices a file that shrinks while it is sent", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeFileSync(file, collected(guestStream(9 * 1024 * 1024)));
  using opened = await openStreamFile(file);
  Deno.truncateSync(file, 3_000_000);
  await assertRejects(() => read(opened.chunks()), BaseError, "it has become shorter");
});

Deno.test("openStreamFile() stops at the signal", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeFileSync(file, joined(records()));
  const reason = new MigrationError("ABORTED");
  const signal = AbortSignal.abort(reason);
  assertEquals(await assertRejects(() => openStreamFile(file, { signal })), reason);
});
