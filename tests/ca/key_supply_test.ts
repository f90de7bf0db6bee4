import { assertEquals } from "@std/assert";
import { issueEach } from "../../ca/mod.ts";
import { supplyKeys } from "../../ca/key_supply.ts";
import { parseRequests } from "../../ca/request.ts";
import type { KeyType, SigningKey } from "../../engine/mod.ts";
import { assertWholeSet } from "../support/credential_set.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

for (const engine of await enginesHere()) {
  Deno.test(`supplyKeys() makes as many keys of each kind as are asked for, ${engine.name}`, async () => {
    let made = 0;
    const counting = {
      ...engine,
      generateKey(type: KeyType): Promise<SigningKey> {
        made++;
        return engine.generateKey(type);
      },
    };
    const requests = parseRequests([
      { host: "a", keyType: "rsa-2048" },
      { host: "b", keyType: "ed25519", roles: ["server"] },
      { host: "c", keyType: "rsa-2048", roles: ["client"] },
    ]);
    const keys = supplyKeys(requests, { dir: "", engine: counting });
    const taken = [];
    for (const { roles, keyType } of requests) {
      for (const _ of roles) taken.push(await keys.take(keyType));
    }
    assertEquals(new Set(taken.map(({ pem }) => pem)).size, 4);
    assertEquals(made, 4);
    // One more than was announced is made too.
    await keys.take("rsa-2048");
    assertEquals(made, 5);
  });

  Deno.test(`issueEach() gives each host keys of its kind and a passphrase's own, ${engine.name}`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [], engine });
    const requests = parseRequests([
      { host: "a", keyType: "rsa-2048" },
      { host: "b" },
      { host: "c", keyType: "rsa-2048" },
    ]);
    const outcomes = await issueEach(requests, { dir, engine });
    assertEquals(outcomes.map((one) => one.ok && one.issued.keyType), [
      "rsa-2048",
      "ec-p256",
      "rsa-2048",
    ]);
    for (const host of ["a", "b", "c"]) assertWholeSet(`${dir}/hosts/${host}`);
  });
}
