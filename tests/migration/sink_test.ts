import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BaseError } from "../../base/mod.ts";
import { checkSinkFile, discardingSink, fileSink, partialName } from "../../migration/sink.ts";
import { findProgram } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { hex } from "./streams.ts";

function names(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}

Deno.test("fileSink() gives a file its name only when it is whole", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeTextFileSync(file, "the one before");
  const sink = fileSink(file);
  await sink.write(hex("0102"));
  assertEquals(names(temp.path), ["guest", "guest.partial"]);
  assertEquals(Deno.statSync(partialName(file)).mode! & 0o777, 0o600);
  await sink.write(hex("03"));
  assertEquals(Deno.readTextFileSync(file), "the one before");
  await sink.commit();
  sink.discard();
  assertEquals(names(temp.path), ["guest"]);
  assertEquals(Deno.readFileSync(file), hex("010203"));
});

Deno.test("fileSink() leaves nothing when it is discarded, and the older file alone", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeTextFileSync(file, "the one before");
  const sink = fileSink(file);
  await sink.write(hex("0102"));
  sink.discard();
  sink.discard();
  assertEquals(names(temp.path), ["guest"]);
  assertEquals(Deno.readTextFileSync(file), "the one before");
});

Deno.test("fileSink() takes over what a crash has left, and nothing that is in use", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeTextFileSync(partialName(file), "left by a crash");
  const sink = fileSink(file);
  const error = assertThrows(() => fileSink(file), BaseError, "another target is filling it");
  assertEquals(error.code, "FILE_NOT_WRITABLE");
  await sink.write(hex("01"));
  await sink.commit();
  assertEquals(Deno.readFileSync(file), hex("01"));
});

Deno.test("checkSinkFile() refuses early what could not be written", () => {
  using temp = temporaryDirectory();
  checkSinkFile(`${temp.path}/guest`);
  assertEquals(names(temp.path), []);
  assertThrows(() => checkSinkFile(temp.path), BaseError, "it is not a regular file");
  assertThrows(() => checkSinkFile("/dev/null"), BaseError, "it is not a regular file");
  assertThrows(() => checkSinkFile(`${temp.path}/no/guest`), BaseError, "no such directory");
  Deno.writeTextFileSync(`${temp.path}/f`, "");
  assertThrows(() => checkSinkFile(`${temp.path}/f/guest`), BaseError, "cannot write");
});

Deno.test("fileSink() reports a full disk", async () => {
  // A file system of one megabyte needs root; without it nothing is shown here.
  if (Deno.uid() !== 0 || findProgram("mount") === undefined) return;
  using temp = temporaryDirectory();
  const mount = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=1M", "none", temp.path],
    stderr: "null",
  }).outputSync();
  if (!mount.success) return;
  try {
    const sink = fileSink(`${temp.path}/guest`);
    const error = await assertRejects(
      () => sink.write(new Uint8Array(2 * 1024 * 1024)),
      BaseError,
      "no space left on device",
    );
    assert(error.facts.file?.endsWith("guest.partial"));
    sink.discard();
    assertEquals(names(temp.path), []);
  } finally {
    new Deno.Command("umount", { args: [temp.path] }).outputSync();
  }
});

Deno.test("discardingSink() takes everything", async () => {
  const sink = discardingSink();
  await sink.write(hex("00"));
  await sink.commit();
  sink.discard();
});
