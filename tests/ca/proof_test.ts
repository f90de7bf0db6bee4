import { assertEquals } from "@std/assert";
import { issueEach } from "../../ca/mod.ts";
import { parseRequests } from "../../ca/request.ts";
import type { Engine, SignatureCheck, SigningKey } from "../../engine/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** An engine whose keys read from files sign something else than they are given. */
function lying(engine: Engine): Engine {
  return {
    ...engine,
    async importKey(pem: string, passphrase?: string): Promise<SigningKey> {
      const key = await engine.importKey(pem, passphrase);
      return {
        type: key.type,
        algorithm: key.algorithm,
        publicKey: key.publicKey,
        sign: (data) => key.sign(Uint8Array.of(...data, 0)),
        exportPem: (password) => key.exportPem(password),
        [Symbol.dispose]: () => key[Symbol.dispose](),
      };
    },
  };
}

for (const engine of await enginesHere()) {
  const requests = parseRequests([
    { host: "a" },
    { host: "b" },
    { host: "c", profile: "strict" },
    { host: "d" },
  ]);

  Deno.test(`issueEach() hands out nothing of a key that signs wrongly, ${engine.name}`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [], engine });
    const outcomes = await issueEach(requests, { dir, engine: lying(engine) });
    const codes = outcomes.map((one) => one.ok ? "issued" : one.error.code);
    assertEquals(codes, ["REFUSED", "REFUSED", "REFUSED", "REFUSED"]);
  });

  Deno.test(`issueEach() verifies the signatures of the first of each kind, ${engine.name}`, async () => {
    using temp = temporaryDirectory();
    const { dir } = await makePki(`${temp.path}/pki`, { hosts: [], engine });
    let verified = 0;
    const counting = {
      ...engine,
      verify(check: SignatureCheck): boolean {
        verified++;
        return engine.verify(check);
      },
    };
    const outcomes = await issueEach(requests, { dir, engine: counting });
    assertEquals(outcomes.map(({ ok }) => ok), [true, true, true, true]);
    // The CRL's own; of one host with every profile two certificates, and their keys' own proof.
    assertEquals(verified, 1 + 2 * (2 + 2));
  });
}
