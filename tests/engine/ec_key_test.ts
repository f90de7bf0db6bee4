import { assertEquals } from "@std/assert";
import { createPrivateKey } from "node:crypto";
import { Buffer } from "node:buffer";
import { decodePem } from "../../base/mod.ts";
import { tidyPkcs8, tidySec1 } from "../../engine/ec_key.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { soakCount, soakRow } from "../support/soak.ts";

programTest("every EC key of certtool is read once its scalar fits", ["certtool"], async () => {
  let tidied = 0;
  for (let i = 0; i < soakCount(500, 24); i++) {
    const curve = ["secp256r1", "secp384r1", "secp521r1"][i % 3]!;
    const pkcs8 = i % 2 === 0;
    // Without a password --pkcs8 asks for one.
    const args = ["--generate-privkey", "--curve", curve, "--key-type", "ecdsa"];
    const { stdout } = await run("certtool", [...args, ...pkcs8 ? ["--pkcs8", "--password="] : []]);
    const block = decodePem(stdout).find((one) => one.label.endsWith("PRIVATE KEY"))!;
    const type = block.label.startsWith("EC") ? "sec1" : "pkcs8";
    const fitted = type === "sec1" ? tidySec1(block.der) : tidyPkcs8(block.der);
    if (fitted.length !== block.der.length) tidied++;
    const key = createPrivateKey({ key: Buffer.from(fitted), format: "der", type });
    assertEquals(key.asymmetricKeyType, "ec");
    assertEquals(tidyPkcs8(tidyPkcs8(fitted)), tidyPkcs8(fitted));
  }
  soakRow("EC keys of certtool", soakCount(500, 24), `all read, ${tidied} with a scalar too long`);
  assertEquals(tidied > 0, true, "certtool wrote no key with a scalar that is too long");
});

Deno.test("tidyPkcs8() leaves other keys and garbage as they are", () => {
  for (const hex of ["", "30", "3000", "300302010030", "02010005"]) {
    const bytes = Uint8Array.fromHex(hex);
    assertEquals(tidyPkcs8(bytes), bytes);
    assertEquals(tidySec1(bytes), bytes);
  }
});
