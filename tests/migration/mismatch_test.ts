/** A kept guest whose description of the devices says other than the stream. */

import { assertEquals, assertMatch } from "@std/assert";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { startTarget } from "./programs.ts";
import { hex, joined, records } from "./streams.ts";

const WARNING = /^warning: the devices are not verified: .*\nhint: /m;

Deno.test("a description that is no JSON is a warning on the way, and exit 1 of inspect", async () => {
  using temp = temporaryDirectory();
  const [file, kept] = [`${temp.path}/bad.mig`, `${temp.path}/kept.mig`];
  const [head, _returnPath, _ping, ...rest] = records();
  const junk = new StreamWriter().u8(0).u8(6).u32(2).bytes(hex("7b7b")).finish();
  Deno.writeFileSync(file, joined([head!, ...rest.slice(0, -1), junk]));
  const inspected = await virtcreds(["migration", "inspect", file]);
  assertEquals(inspected.code, 1);
  assertMatch(inspected.stderr, WARNING);
  await using target = await startTarget(["--out", kept]);
  const sent = await virtcreds([
    "migration",
    "source",
    "--migrate",
    target.uri,
    "--in",
    file,
    "--capability",
    "return-path=on",
  ]);
  assertEquals(sent.code, 0, sent.stderr);
  assertMatch(sent.stderr, WARNING);
  assertMatch(sent.stderr, /^warning: return-path=on does nothing for --in: /m);
  assertEquals(await target.exit, 0, target.stderr());
  assertMatch(target.stderr(), WARNING);
  assertEquals(Deno.readFileSync(kept), Deno.readFileSync(file));
});
