import { assertEquals } from "@std/assert";
import { PROJECT, run } from "../support/command.ts";

Deno.test("importing the toolkit needs no permission and loads no native library", async () => {
  const { code, stdout, stderr } = await run(Deno.execPath(), [
    "eval",
    "--config",
    `${PROJECT}/deno.json`,
    `const kit = await import("${PROJECT}/mod.ts");
     const maps = Deno.readTextFileSync("/proc/self/maps");
     console.log(Object.keys(kit).sort().join(), maps.includes("libgnutls"));`,
  ]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, "base,ca,channel,chardev,creds,engine,migration,monitor false\n");
});
