import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BaseError } from "../../base/mod.ts";
import { partialName } from "../../migration/_partial.ts";
import { checkSinkFile, discardingSink, fileSink } from "../../migration/sink.ts";
import { PROJECT, run } from "../support/command.ts";
import { diskTest, OWN_MOUNTS } from "../support/disk.ts";
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
  assertEquals(names(temp.path), ["guest", "guest.1"]);
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

Deno.test("fileSink() follows no link that was planted in its way", () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  const victim = `${temp.path}/victim`;
  Deno.writeTextFileSync(victim, "precious");
  for (const target of [victim, `${temp.path}/nowhere`, temp.path]) {
    Deno.symlinkSync(target, partialName(file));
    for (const open of [fileSink, checkSinkFile]) {
      const error = assertThrows(() => open(file), BaseError, "guest.partial: it is a symbolic");
      assertEquals([error.code, error.hints.length], ["FILE_NOT_WRITABLE", 1]);
    }
    Deno.removeSync(partialName(file));
  }
  Deno.mkdirSync(partialName(file));
  assertThrows(() => fileSink(file), BaseError, "it is not a regular file");
  assertEquals(Deno.readTextFileSync(victim), "precious");
  assertEquals(names(temp.path), ["guest.partial", "victim"]);
});

Deno.test("fileSink() makes its file anew: no foreign mode, reader or second name stays", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  Deno.writeTextFileSync(partialName(file), "planted");
  Deno.chmodSync(partialName(file), 0o666);
  Deno.linkSync(partialName(file), `${temp.path}/second`);
  using reader = Deno.openSync(partialName(file));
  const sink = fileSink(file);
  assertEquals(Deno.statSync(partialName(file)).mode! & 0o777, 0o600);
  await sink.write(hex("0102"));
  await sink.commit();
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  assertEquals(Deno.readTextFileSync(`${temp.path}/second`), "planted");
  assertEquals(reader.readSync(new Uint8Array(16)), "planted".length);
});

Deno.test("fileSink() gives no name to what was put in the place of its file", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  const sink = fileSink(file);
  await sink.write(hex("0102"));
  Deno.removeSync(partialName(file));
  Deno.symlinkSync("/etc/passwd", partialName(file));
  await assertRejects(() => sink.commit(), BaseError, "removed or replaced while");
  sink.discard();
  assertEquals(names(temp.path), ["guest.partial"]);
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

Deno.test("fileSink() keeps an earlier file under a number, unless it is to be replaced", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  const moved: string[] = [];
  const keep = async (text: string, replace: boolean) => {
    const sink = fileSink(file, { replace, onSetAside: (name) => moved.push(name) });
    await sink.write(new TextEncoder().encode(text));
    await sink.commit();
  };
  await keep("one", false);
  await keep("two", false);
  Deno.writeTextFileSync(`${file}.2`, "somebody else's");
  await keep("three", false);
  await keep("four", true);
  assertEquals(moved, [`${file}.1`, `${file}.3`]);
  const contents = ["", ".1", ".2", ".3"].map((end) => Deno.readTextFileSync(file + end));
  assertEquals(contents, ["four", "one", "somebody else's", "two"]);
  assertEquals([...Deno.readDirSync(temp.path)].length, 4);
});

/** Writes more than there is room for to the file that it is given; tells what was said and left. */
const FILL = `
  import { fileSink } from "${new URL("../../migration/sink.ts", import.meta.url)}";
  const [dir] = Deno.args;
  const sink = fileSink(dir + "/guest");
  const error = await sink.write(new Uint8Array(2 * 1024 * 1024)).catch((error) => error);
  const before = [...Deno.readDirSync(dir)].map(({ name }) => name);
  sink.discard();
  const after = [...Deno.readDirSync(dir)].map(({ name }) => name);
  const { name, code, message, facts } = error;
  console.log(JSON.stringify({ name, code, message, file: facts.file, before, after }));
`;

diskTest("fileSink() reports a full disk, and leaves nothing on it", [], async () => {
  using temp = temporaryDirectory();
  const [unshare, ...flags] = OWN_MOUNTS;
  const { stdout, stderr, code } = await run(unshare!, [
    ...flags,
    ...[
      "sh",
      "-c",
      'mount -t tmpfs -o size=1m none "$1" && exec "$2" eval --config "$3" "$4" "$1"',
    ],
    ...["sh", temp.path, Deno.execPath(), `${PROJECT}/deno.json`, FILL],
  ]);
  assertEquals(code, 0, stderr);
  const file = `${temp.path}/guest.partial`;
  assertEquals(JSON.parse(stdout), {
    ...{ name: "BaseError", code: "FILE_NOT_WRITABLE", file },
    message: `cannot write ${file}: no space left on device`,
    ...{ before: ["guest.partial"], after: [] },
  });
});

Deno.test("discardingSink() takes everything", async () => {
  const sink = discardingSink();
  await sink.write(hex("00"));
  await sink.commit();
  sink.discard();
});
