import { assertEquals } from "@std/assert";
import { asInvoked } from "../../base/mod.ts";

Deno.test("asInvoked() names commands as the one file has them, and as a checkout has them", () => {
  const hint = "make one: deno task ca init --dir x, then `deno task -q creds check x`";
  assertEquals(
    asInvoked(hint, "file:///usr/local/bin/virtcreds"),
    "make one: virtcreds ca init --dir x, then `virtcreds creds check x`",
  );
  assertEquals(asInvoked(hint, "file:///srv/virtcreds/cli/ca.ts"), hint);
  assertEquals(asInvoked("deno task install", "file:///x"), "deno task install");
});
