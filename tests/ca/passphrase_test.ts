import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  authorityKeyLock,
  CaError,
  checkPassphrase,
  initAuthority,
  issueHost,
  readPassphrase,
  readQemuPassphrase,
} from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

Deno.test("checkPassphrase() takes one line of text in its composed form, and shows none of it", () => {
  assertEquals(checkPassphrase("zwei Wörter", "x"), "zwei Wörter");
  assertEquals(checkPassphrase("u\u0308", "x"), "\u00fc");
  for (
    const [text, cause] of [
      ["", "it is empty"],
      ["secret\nmore", "it has a control character or a second line"],
      ["secret\0", "it has a control character or a second line"],
      ["secret".repeat(200), "it has more than 1023 bytes"],
    ] as const
  ) {
    const error = assertThrows(() => checkPassphrase(text, "p"), CaError);
    assertEquals(error.message, `cannot use the passphrase from p: ${cause}`);
  }
});

Deno.test("readPassphrase() drops a line end, readQemuPassphrase() refuses it", () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/p`;
  for (const end of ["", "\n", "\r\n"]) {
    Deno.writeTextFileSync(file, `geheim${end}`);
    assertEquals(readPassphrase(file), "geheim");
    if (end === "") assertEquals(readQemuPassphrase(file), "geheim");
    else assertThrows(() => readQemuPassphrase(file), CaError, "it ends with a line end");
  }
  Deno.writeFileSync(file, Uint8Array.of(0xff, 0xfe));
  assertThrows(() => readPassphrase(file), CaError, "it is not UTF-8 text");
});

Deno.test("initAuthority() and issueHost() encrypt keys, which nobody uses without the passphrase", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  const passphrase = "für die CA";
  await initAuthority({ dir, engine, passphrase });
  assertEquals(authorityKeyLock(dir), "passphrase");
  const issue = (more: { passphrase?: string; hostPassphrase?: string }) =>
    issueHost({ dir, engine, host: "h", ...more });
  const missing = await assertRejects(() => issue({}), CaError);
  assertEquals(
    [missing.code, missing.facts.cause],
    ["CA_KEY", "it is encrypted, and no passphrase was given"],
  );
  const wrong = await assertRejects(() => issue({ passphrase: "another" }), CaError);
  assertEquals(wrong.code, "CA_KEY");
  assertEquals([wrong.message, ...wrong.hints].join().includes("another"), false);
  const issued = await issue({ passphrase, hostPassphrase: "for QEMU" });
  const pem = Deno.readTextFileSync(issued.certificates[0]!.key);
  assertEquals(pem.startsWith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), true);
  await assertRejects(() => engine.importKey(pem));
  using key = await engine.importKey(pem, "for QEMU");
  assertEquals(key.type, "ec-p256");
});

Deno.test("initAuthority() refuses the URI of a token's key that is none or has the PIN", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  for (
    const [key, cause] of [
      ["file:/x", "it is no pkcs11: URI"],
      ["pkcs11:token=a b", "it is no pkcs11: URI"],
      ["pkcs11:token=a?pin-value=1234", "it has a PIN in it"],
    ] as const
  ) {
    const error = await assertRejects(() => initAuthority({ dir, engine, key }), CaError);
    assertEquals([error.code, error.facts.cause, error.exitCode], ["KEY_URI", cause, 2]);
  }
  const key = "pkcs11:token=there-is-none;object=x;type=private";
  const none = await assertRejects(() => initAuthority({ dir, engine, key }), CaError);
  assertEquals(none.code, "CA_KEY");
  const platform = await chooseEngine("platform");
  const unable = await assertRejects(() => initAuthority({ dir, engine: platform, key }), CaError);
  assertEquals(unable.facts.cause, "it is in a token, and the platform engine reaches none");
  assertThrows(() => Deno.statSync(dir), Deno.errors.NotFound);
});
