import { assertEquals } from "@std/assert";
import { syncFileSystem } from "../../os/mod.ts";
import { PROJECT, run } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test(
  "syncFileSystem() syncs where a path is and keeps nothing open",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    using temp = temporaryDirectory();
    const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
    assertEquals(await syncFileSystem(temp.path), true);
    const before = open();
    for (let i = 0; i < 10; i++) await syncFileSystem(temp.path);
    assertEquals(open(), before);
    assertEquals(await syncFileSystem(`${temp.path}/none`), false);
    assertEquals(await syncFileSystem(`${temp.path}\0`), false);
  },
);

Deno.test("syncFileSystem() says that it cannot where FFI is not allowed", async () => {
  const stdin = `import { syncFileSystem } from "${PROJECT}/os/mod.ts";
    console.log(await syncFileSystem("/tmp"));`;
  const args = ["run", "--no-prompt", `--config=${PROJECT}/deno.json`, "-"];
  const { code, stdout } = await run(Deno.execPath(), args, { stdin });
  assertEquals([code, stdout], [0, "false\n"]);
});
