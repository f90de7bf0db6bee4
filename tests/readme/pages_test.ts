import { assertEquals, assertFalse } from "@std/assert";
import { copySync, walkSync } from "@std/fs";
import { join, relative } from "@std/path";
import { PROJECT, run } from "../support/command.ts";
import { findProgram, PACKAGES, programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { commandBlocks, isTestCommand, outputMatches, steps } from "./blocks.ts";

const PAGES = [
  "README.md",
  ...[...walkSync(join(PROJECT, "docs"), { exts: [".md"] })].map((e) => relative(PROJECT, e.path)),
].sort();

const PREAMBLE = `exec 2>&1
trap 'set +e; trap "" TERM; kill $(cat *.pid 2>/dev/null) 2>/dev/null; kill -TERM -$$; true' EXIT`;

/** What a clone would not have. */
const NOT_CLONED = new Set([".git", "pki", "virtcreds", "cov"]);

/** A copy of the project as a clone would have it, and a `deno` on PATH that is this one. */
function copyOfProject(into: string): void {
  Deno.mkdirSync(into);
  for (const { name } of Deno.readDirSync(PROJECT)) {
    if (!NOT_CLONED.has(name)) copySync(join(PROJECT, name), join(into, name));
  }
  Deno.mkdirSync(`${into}.bin`);
  Deno.symlinkSync(Deno.execPath(), `${into}.bin/deno`);
}

for (const page of PAGES) {
  const blocks = commandBlocks(Deno.readTextFileSync(join(PROJECT, page)))
    .filter((block) => !isTestCommand(block));
  if (blocks.length === 0) continue;
  const text = blocks.map((block) => block.text).join("");
  const programs = [...Object.keys(PACKAGES), "npx"].filter((name) =>
    new RegExp(`(^|[\\s|(])${name}\\s`, "m").test(text)
  );
  programTest(`every command of ${page} does what the page says`, programs, async (t) => {
    using scratch = temporaryDirectory();
    const clone = join(scratch.path, "virtcreds");
    copyOfProject(clone);
    for (const block of blocks) {
      for (const { command, expected } of steps(block)) {
        await t.step(`${page}:${block.line} ${command.trim().split("\n")[0]}`, async () => {
          // A session of its own, so that nothing that a block started outlives it; and the folder
          // that the tests were started in is not the reader's.
          const { code, stdout } = await run(
            "env",
            ["-u", "INIT_CWD", "setsid", "--wait", "bash", "-eu", "-c", `${PREAMBLE}\n${command}`],
            {
              cwd: clone,
              env: { PATH: `${clone}.bin:${Deno.env.get("PATH")}`, TMPDIR: scratch.path },
              timeout: 300_000,
              // The trap ends what has made itself a daemon.
              killedBy: "SIGTERM",
            },
          );
          assertEquals(code, 0, stdout);
          // Task lines and first downloads are not what a page shows.
          const output = stdout.replace(/^(Task|Download|Initialize) .*\n/gm, "");
          if (expected !== undefined && !outputMatches(expected, output)) {
            assertEquals(output, expected.join("\n") + "\n");
          }
        });
      }
    }
  });
}

Deno.test("outputMatches() takes … for what varies and nothing else", () => {
  assertEquals(outputMatches(["a … c", "…", "end"], "a b c\nx\ny\nend\n"), true);
  assertEquals(outputMatches(["a…"], "a\n"), true);
  assertFalse(outputMatches(["a … c"], "a b d\n"));
  assertFalse(outputMatches(["a"], "a\nb\n"));
  assertFalse(outputMatches(["a", "b"], "a\n"));
  assertFalse(outputMatches(["a.c"], "abc\n"));
});

Deno.test("the README's first command block is found, and only the test command is left out", () => {
  const blocks = commandBlocks(Deno.readTextFileSync(join(PROJECT, "README.md")));
  assertEquals(blocks.filter(isTestCommand).length, 1);
  assertEquals(blocks.length > 3, true);
  assertEquals(findProgram("bash") !== undefined, true);
});
