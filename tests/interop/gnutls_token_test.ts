// Keys that stay in a PKCS#11 token, SoftHSM being the token.

import { assertEquals } from "@std/assert";
import { chooseEngine, type Engine, type SigningKey } from "../../engine/mod.ts";
import { PROJECT, run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const PIN = "1234";
const ALGORITHMS: Readonly<Record<SigningKey["algorithm"], string>> = {
  "ecdsa-with-SHA256": "300a06082a8648ce3d040302",
  "ecdsa-with-SHA384": "300a06082a8648ce3d040303",
  "sha256WithRSAEncryption": "300d06092a864886f70d01010b0500",
  "Ed25519": "300506032b6570",
};

interface Token extends Disposable {
  /** Puts a key of the engine's into the token. */
  put(label: string, key: SigningKey): Promise<void>;
  use(uri: string, pin?: string): Promise<Record<string, string>>;
}

async function makeToken(): Promise<Token> {
  const folder = temporaryDirectory();
  const env = { SOFTHSM2_CONF: `${folder.path}/softhsm2.conf` };
  Deno.mkdirSync(`${folder.path}/tokens`);
  Deno.writeTextFileSync(env.SOFTHSM2_CONF, `directories.tokendir = ${folder.path}/tokens\n`);
  const softhsm = async (...args: readonly string[]) => {
    const { code, stderr } = await run("softhsm2-util", args, { env });
    assertEquals(code, 0, stderr);
  };
  await softhsm("--init-token", "--free", "--label", "virt", "--pin", PIN, "--so-pin", "5678");
  return {
    async put(label, key) {
      const file = `${folder.path}/${label}`;
      Deno.writeTextFileSync(file, await key.exportPem());
      const id = new TextEncoder().encode(label).toHex();
      await softhsm(
        ...["--import", file, "--token", "virt", "--label", label, "--id", id, "--pin", PIN],
      );
    },
    async use(uri, pin) {
      const { code, stdout, stderr } = await run(Deno.execPath(), [
        ...["run", "-A", "--config", `${PROJECT}/deno.json`, `${PROJECT}/tests/interop/token.ts`],
        uri,
        ...pin === undefined ? [] : [pin],
      ], { env });
      assertEquals([code, stderr], [0, ""]);
      return JSON.parse(stdout);
    },
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

function uriOf(label: string): string {
  return `pkcs11:token=virt;object=${label};type=private`;
}

async function withKey(
  type: Parameters<Engine["generateKey"]>[0],
  use: (engine: Engine, token: Token, key: SigningKey) => Promise<void>,
): Promise<void> {
  const engine = await chooseEngine("gnutls");
  using token = await makeToken();
  using key = await engine.generateKey(type);
  await token.put("ca-key", key);
  await use(engine, token, key);
}

for (const type of ["ec-p256", "ec-p384", "rsa-2048"] as const) {
  programTest(
    `importKey() signs with a token's ${type} key: gnutls`,
    ["softhsm2-util"],
    async () => {
      await withKey(type, async (engine, token, key) => {
        for (
          const [uri, pin] of [
            [uriOf("ca-key"), PIN],
            [`${uriOf("ca-key")}?pin-value=${PIN}`, undefined],
          ] as const
        ) {
          const { signature, ...rest } = await token.use(uri, pin);
          assertEquals(rest, {
            type,
            algorithm: key.algorithm,
            publicKey: key.publicKey.toHex(),
            exported: "KEY: cannot use private key: it cannot leave its token",
            disposed: "KEY: cannot use private key: it was disposed of",
          });
          const check = {
            publicKey: key.publicKey,
            algorithm: Uint8Array.fromHex(ALGORITHMS[key.algorithm]),
            data: new TextEncoder().encode("what is signed"),
            signature: Uint8Array.fromHex(signature!),
          };
          assertEquals(engine.verify(check), true);
        }
      });
    },
  );
}

programTest("importKey() says why a token's key cannot be used: gnutls", [
  "softhsm2-util",
], async () => {
  await withKey("ec-p256", async (_engine, token) => {
    const rows: [uri: string, pin: string | undefined, cause: string][] = [
      [uriOf("ca-key"), undefined, "its token wants a PIN"],
      [uriOf("ca-key"), "9999", "its token refuses the PIN"],
      [uriOf("ca-key"), "9".repeat(1000), "its token refuses the PIN"],
      [uriOf("another"), PIN, "no token has it"],
      ["pkcs11:token=none;object=ca-key", PIN, "no token has it"],
      ["pkcs11:%%%", PIN, "its pkcs11: URI cannot be parsed"],
    ];
    for (const [uri, pin, cause] of rows) {
      assertEquals(
        [uri, pin, await token.use(uri, pin)],
        [uri, pin, { error: `KEY: cannot use private key: ${cause}` }],
      );
    }
    // Each wrong PIN was tried once, so the token has not locked itself.
    assertEquals((await token.use(uriOf("ca-key"), PIN)).type, "ec-p256");
  });
});
