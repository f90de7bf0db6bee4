import { assertEquals } from "@std/assert";
import { exchangePaths } from "../../os/mod.ts";
import { PROJECT, run } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";

const linuxOnly = { ignore: Deno.build.os !== "linux" };

Deno.test("exchangePaths() swaps two directories that have files", linuxOnly, () => {
  using temp = temporaryDirectory();
  const [one, other] = [`${temp.path}/one ü`, `${temp.path}/other`];
  Deno.mkdirSync(one);
  Deno.mkdirSync(other);
  Deno.writeTextFileSync(`${one}/first`, "");
  Deno.writeTextFileSync(`${other}/second`, "");
  assertEquals(exchangePaths(one, other), true);
  assertEquals([...Deno.readDirSync(one)].map((entry) => entry.name), ["second"]);
  assertEquals([...Deno.readDirSync(other)].map((entry) => entry.name), ["first"]);
});

Deno.test("exchangePaths() says that it did nothing where a path is missing or has a NUL", () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/file`;
  Deno.writeTextFileSync(file, "");
  Deno.writeTextFileSync(`${file}2`, "");
  assertEquals(exchangePaths(file, `${temp.path}/none`), false);
  assertEquals(exchangePaths(file, `${file}2\0`), false);
  assertEquals([...Deno.readDirSync(temp.path)].length, 2);
});

Deno.test("exchangePaths() says that it cannot where FFI is not allowed, without asking", async () => {
  const code = `import { exchangePaths } from "${PROJECT}/os/mod.ts";
    console.log(exchangePaths("/tmp", "/"));`;
  const { code: exit, stdout } = await run(Deno.execPath(), [
    "run",
    "--no-prompt",
    `--config=${PROJECT}/deno.json`,
    "-",
  ], { stdin: code });
  assertEquals([exit, stdout], [0, "false\n"]);
});
