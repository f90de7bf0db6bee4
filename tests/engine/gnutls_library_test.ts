// How the library is found, and what is said where it is not.

import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { EngineError } from "../../engine/mod.ts";
import { loadLibrary } from "../../engine/gnutls/library.ts";
import { PROJECT, run } from "../support/command.ts";
import { gnutlsTest } from "./_gnutls.ts";

gnutlsTest("chooseEngine() gives GnuTLS with its version", (engine) => {
  assertMatch(engine.version, /^GnuTLS 3\.\d+\.\d+$/);
});

Deno.test("loadLibrary() names a library that is missing", () => {
  const error = assertThrows(() => loadLibrary("libnothing.so.30"), EngineError);
  assertEquals(error.code, "ENGINE_UNAVAILABLE");
  assertEquals(error.message, "cannot use the gnutls engine: libnothing.so.30 cannot be loaded");
  assertEquals(error.hints, ["apt-get install libgnutls30"]);
});

Deno.test("loadLibrary() names the first symbol that is missing", () => {
  const error = assertThrows(() => loadLibrary("libc.so.6"), EngineError);
  assertMatch(error.message, /^cannot use the gnutls engine: libc\.so\.6 lacks gnutls_\w+$/);
});

async function choose(
  permissions: readonly string[],
  force?: string,
  env: Record<string, string> = { VIRTCREDS_ENGINE: "" },
): Promise<string> {
  const { stdout, stderr } = await run(Deno.execPath(), [
    "run",
    "--no-prompt",
    "--config",
    `${PROJECT}/deno.json`,
    "--allow-env",
    "--allow-sys",
    ...permissions,
    `${PROJECT}/tests/engine/_choose.ts`,
    ...(force === undefined ? [] : [force]),
  ], { env });
  assertEquals(stderr, "");
  return stdout.trimEnd();
}

const REFUSED = "ENGINE_UNAVAILABLE: cannot use the gnutls engine: Deno may not load libraries\n" +
  "hint: run with --allow-ffi (without a path)";

gnutlsTest("chooseEngine() prefers GnuTLS where it may", async () => {
  assertEquals(await choose(["--allow-ffi"]), "gnutls");
});

Deno.test("chooseEngine() takes the platform quietly without --allow-ffi", async () => {
  assertEquals(await choose([]), "platform");
  assertEquals(await choose(["--allow-ffi=/usr/lib"]), "platform");
  assertEquals(await choose(["--deny-ffi"]), "platform");
});

Deno.test("chooseEngine() says what a forced GnuTLS lacks", async () => {
  assertEquals(await choose([], "gnutls"), REFUSED);
  assertEquals(await choose([], undefined, { VIRTCREDS_ENGINE: "gnutls" }), REFUSED);
});

Deno.test("chooseEngine() keeps to a forced platform engine", async () => {
  assertEquals(await choose(["--allow-ffi"], "platform"), "platform");
  assertEquals(
    await choose(["--allow-ffi"], undefined, { VIRTCREDS_ENGINE: "platform" }),
    "platform",
  );
});

Deno.test("chooseEngine() refuses a name that no engine has", async () => {
  const said = await choose([], undefined, { VIRTCREDS_ENGINE: "openssl" });
  assertEquals(
    said,
    "ENGINE_UNKNOWN: VIRTCREDS_ENGINE does not take 'openssl'\nhint: one of: auto, gnutls, platform",
  );
});
