import { assertEquals, assertRejects } from "@std/assert";
import { sendToFile } from "../../migration/send_to_file.ts";
import type { StreamSource } from "../../migration/stream_file.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { stillGuest } from "./streams.ts";

/** A guest of which a part comes, until the disk is full or somebody has enough of it. */
const BROKEN: StreamSource = {
  ...stillGuest(4096),
  *chunks() {
    yield new Uint8Array(100).fill(1);
    throw new Error("no space");
  },
};

Deno.test("sendToFile() removes a file that it has made in vain, also behind an offset", async () => {
  using temp = temporaryDirectory();
  for (const offset of [0, 4096]) {
    const path = `${temp.path}/image`;
    await assertRejects(
      () => sendToFile({ kind: "file", path, offset }, BROKEN, {}),
      Error,
      "no space",
    );
    assertEquals([...Deno.readDirSync(temp.path)], []);
  }
});

Deno.test("sendToFile() leaves an earlier file, and tells from which byte on it is spoilt", async () => {
  using temp = temporaryDirectory();
  const path = `${temp.path}/image`;
  Deno.writeFileSync(path, new Uint8Array(8192));
  const spoilt: unknown[] = [];
  const onSpoilt = (...what: unknown[]) => spoilt.push(what);
  await assertRejects(
    () => sendToFile({ kind: "file", path, offset: 4096 }, BROKEN, { onSpoilt }),
    Error,
    "no space",
  );
  assertEquals(spoilt, [[path, 4096]]);
  assertEquals(Deno.statSync(path).size, 8192);
});
