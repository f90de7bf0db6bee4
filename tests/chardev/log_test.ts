import { assertEquals, assertThrows } from "@std/assert";
import { ChardevError, keepLog, openLog } from "../../chardev/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("openLog() empties a log or appends to it", () => {
  using folder = temporaryDirectory();
  const file = `${folder.path}/log`;
  for (
    const [append, text, expected] of [
      [false, "one", "one"],
      [true, "two", "onetwo"],
      [false, "3", "3"],
    ] as const
  ) {
    {
      using log = openLog(file, append);
      log.write(bytes(text));
    }
    assertEquals(Deno.readTextFileSync(file), expected);
  }
});

Deno.test("openLog() refuses a file that cannot be made in QEMU's words", () => {
  using folder = temporaryDirectory();
  const file = `${folder.path}/none/log`;
  const error = assertThrows(() => openLog(file, false), ChardevError);
  assertEquals(error.message, `Could not create '${file}': No such file or directory`);
  assertEquals(error.exitCode, 1);
});

Deno.test("keepLog() tells once of a log that is full and goes on", () => {
  const failures: unknown[] = [];
  using log = keepLog({ logfile: "/dev/full", logappend: false }, (error) => failures.push(error));
  log.write(bytes("a"));
  log.write(bytes("b"));
  assertEquals(failures.map(String), [
    "ChardevError: cannot write to log /dev/full: no space left on device",
  ]);
});

Deno.test("keepLog() takes nothing where there is no log", () => {
  using log = keepLog({ logappend: false }, () => {
    throw new Error("not reached");
  });
  log.write(bytes("a"));
});
