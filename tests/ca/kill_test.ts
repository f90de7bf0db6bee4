import { assert, assertEquals } from "@std/assert";
import { changePki } from "../../ca/change.ts";
import { isThere, pkiPaths } from "../../ca/pki.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { PROJECT } from "../support/command.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { makePki } from "../support/pki.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Starts issuing in another process and kills it at a random instant after its first set. */
async function killIssuing(dir: string, first: number, permissions: readonly string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      ...permissions,
      `--config=${PROJECT}/deno.json`,
      `${PROJECT}/tests/ca/_issue_loop.ts`,
      dir,
      String(first),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  assertEquals(done, false, "the child ended before it was killed");
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 40));
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
}

for (const mode of ["with renameat2", "without FFI"] as const) {
  const ffi = mode === "with renameat2";
  Deno.test(`issueHost() killed at any instant leaves whole sets of one command, ${mode}`, async () => {
    using temp = temporaryDirectory();
    // The engine that also works without FFI.
    const engine = await chooseEngine("platform");
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "a" }, { name: "b" }],
      engine,
    });
    const paths = pkiPaths(pki.dir);
    const count = soakCount(200);
    let unfinished = 0;
    for (let i = 0; i < count; i++) {
      await killIssuing(pki.dir, i, ffi ? ["--allow-ffi"] : []);
      // Without the exchange there is a moment in which only the journal knows the set.
      if (ffi) assertWholeSet(pki.host("a"));
      if (ffi) assertWholeSet(pki.host("b"));
      if (isThere(paths.journal) || isThere(paths.staging)) unfinished++;
      await changePki(paths, {}, () => Promise.resolve());
      const [a, b] = [assertWholeSet(pki.host("a")), assertWholeSet(pki.host("b"))];
      assertEquals(a.replace("DNS:a", "DNS:b"), b, "hosts of one command have sets of one command");
      assert(assertWholeSet(`${paths.previous}/a`) !== a);
      assertEquals(isThere(paths.journal) || isThere(paths.staging), false);
    }
    soakRow(`kill -9 while issuing, ${mode}`, count, `${unfinished} in the middle, none torn`);
  });
}
