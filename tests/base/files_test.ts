import { assertEquals, assertThrows } from "@std/assert";
import { BaseError, createFile, readFileLimited, writeFileAtomic } from "../../base/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

for (const durable of [true, false]) {
  const how = durable ? "durable" : "one of many";
  Deno.test(`createFile() gives the mode from the start and refuses an existing file, ${how}`, () => {
    using dir = temporaryDirectory();
    // The first of a mode is looked at, the others are not.
    for (const name of ["one.pem", "two.pem"]) {
      for (const mode of [0o600, 0o644, 0o666, 0o640]) {
        const file = `${dir.path}/${mode}-${name}`;
        createFile(file, "secret", mode, durable);
        assertEquals(Deno.statSync(file).mode! & 0o777, mode);
        const again = () => createFile(file, "other", mode, durable);
        assertThrows(again, BaseError, "it exists already");
        assertEquals(Deno.readTextFileSync(file), "secret");
      }
    }
    const nowhere = () => createFile(`${dir.path}/no/such`, "x", 0o600, durable);
    assertThrows(nowhere, BaseError, "no such directory");
  });
}

Deno.test("writeFileAtomic() replaces the whole and leaves no temporary file", () => {
  using dir = temporaryDirectory();
  const file = `${dir.path}/a`;
  writeFileAtomic(file, "one", 0o644);
  writeFileAtomic(file, "two", 0o600);
  assertEquals(Deno.readTextFileSync(file), "two");
  assertEquals(Deno.statSync(file).mode! & 0o777, 0o600);
  assertEquals([...Deno.readDirSync(dir.path)].map((entry) => entry.name), ["a"]);
  const missing = `${dir.path}/no/such`;
  const error = assertThrows(() => writeFileAtomic(missing, "x", 0o600), BaseError);
  assertEquals(error.code, "FILE_NOT_WRITABLE");
});

Deno.test("readFileLimited() names what is wrong with a file", () => {
  using dir = temporaryDirectory();
  Deno.writeTextFileSync(`${dir.path}/big`, "x".repeat(100));
  const cases: [string, string, string][] = [
    [`${dir.path}/none`, "FILE_NOT_FOUND", "no such file"],
    [dir.path, "FILE_NOT_READABLE", "it is a directory"],
    ["/dev/zero", "FILE_NOT_READABLE", "not a regular file"],
    [`${dir.path}/big`, "FILE_TOO_LARGE", "more than 10"],
  ];
  for (const [file, code, text] of cases) {
    const error = assertThrows(() => readFileLimited(file, 10), BaseError, text);
    assertEquals(error.code, code);
  }
});
