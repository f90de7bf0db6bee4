// Keys made, read, written and used by every engine, and by one after the other.

import { assert, assertEquals, assertFalse, assertMatch, assertRejects } from "@std/assert";
import { decodePem, derBitString, derOid, derSequence, encodePem } from "../../base/mod.ts";
import {
  type Engine,
  EngineError,
  KEY_TYPES,
  type KeyType,
  type SigningKey,
} from "../../engine/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { SOAK } from "../support/soak.ts";

const engines = await enginesHere();
const data = crypto.getRandomValues(new Uint8Array(1_000));

/** AlgorithmIdentifiers as certificates carry them. */
const ALGORITHMS: Readonly<Record<SigningKey["algorithm"], Uint8Array>> = {
  "ecdsa-with-SHA256": derSequence(derOid("1.2.840.10045.4.3.2")),
  "ecdsa-with-SHA384": derSequence(derOid("1.2.840.10045.4.3.3")),
  "sha256WithRSAEncryption": derSequence(derOid("1.2.840.113549.1.1.11"), Uint8Array.of(5, 0)),
  "Ed25519": derSequence(derOid("1.3.101.112")),
};

/** One key of each kind for each engine: RSA keys take seconds to make. */
const keys = new Map<string, Promise<SigningKey>>();

function keyOf(engine: Engine, type: KeyType): Promise<SigningKey> {
  const id = `${engine.name} ${type}`;
  let key = keys.get(id);
  if (key === undefined) keys.set(id, key = engine.generateKey(type));
  return key;
}

function check(engine: Engine, key: SigningKey, signature: Uint8Array, over = data): boolean {
  const { publicKey, algorithm } = key;
  return engine.verify({ publicKey, algorithm: ALGORITHMS[algorithm], data: over, signature });
}

// Long RSA keys take seconds to make and differ in nothing else.
const types = KEY_TYPES.filter((type) => SOAK || !/^rsa-[34]/.test(type));

for (const type of types) {
  for (const maker of engines) {
    Deno.test(`generateKey(${type}) makes a key that signs: ${maker.name}`, async () => {
      const key = await keyOf(maker, type);
      assertEquals(key.type, type);
      assertEquals(key.publicKey[0], 0x30);
      const signature = await key.sign(data);
      for (const engine of engines) {
        assert(check(engine, key, signature), `${engine.name} verifies`);
        assertFalse(check(engine, key, signature, data.subarray(1)), `${engine.name}: other data`);
        for (const at of [0, Math.floor(signature.length / 2), signature.length - 1]) {
          const damaged = signature.slice();
          damaged[at]! ^= 1;
          assertFalse(check(engine, key, damaged), `${engine.name}: damaged at ${at}`);
        }
        assertFalse(check(engine, key, signature.subarray(1)), `${engine.name}: cut`);
        assertFalse(check(engine, key, new Uint8Array(0)), `${engine.name}: empty`);
      }
    });

    for (const reader of engines) {
      Deno.test(`importKey() by ${reader.name} reads ${type} of ${maker.name}, plain and encrypted`, async () => {
        const key = await keyOf(maker, type);
        for (const passphrase of [undefined, type === "ec-p256" ? "pässwörd" : "correct horse"]) {
          const pem = await key.exportPem(passphrase);
          const label = passphrase === undefined ? "PRIVATE KEY" : "ENCRYPTED PRIVATE KEY";
          assertEquals(decodePem(pem).map((block) => block.label), [label]);
          using read = await reader.importKey(pem, passphrase);
          assertEquals([read.type, read.algorithm], [type, key.algorithm]);
          assertEquals(read.publicKey, key.publicKey);
          assert(check(maker, key, await read.sign(data)));
        }
      });
    }
  }
}

for (const engine of engines) {
  Deno.test(`importKey() tells a wrong passphrase from a missing one: ${engine.name}`, async () => {
    const pem = await (await keyOf(engine, "ec-p256")).exportPem("secret");
    const wrong = await assertRejects(() => engine.importKey(pem, "wrong"), EngineError);
    assertEquals(wrong.code, "KEY");
    assertMatch(wrong.message, /passphrase|password|decrypt/i);
    const missing = await assertRejects(() => engine.importKey(pem), EngineError);
    assertEquals(missing.code, "KEY");
    assertMatch(missing.message, /passphrase|password|encrypted|decrypt/i);
  });

  Deno.test(`importKey() refuses what is no key, without quoting it: ${engine.name}`, async () => {
    const key = await keyOf(engine, "ec-p256");
    const pem = await key.exportPem();
    const bytes = decodePem(pem)[0]!.der;
    const texts: Readonly<Record<string, string>> = {
      "nothing": "",
      "text": "a secret of mine",
      "a public key": encodePem("PUBLIC KEY", key.publicKey),
      "junk in PEM": encodePem("PRIVATE KEY", new TextEncoder().encode("a secret of mine")),
      "half a key": encodePem("PRIVATE KEY", bytes.subarray(0, 60)),
      "half a PEM": pem.slice(0, 100),
      "the wrong label": encodePem("RSA PRIVATE KEY", bytes),
    };
    for (const [what, text] of Object.entries(texts)) {
      const error = await assertRejects(
        () => engine.importKey(text, "secret"),
        EngineError,
        "",
        what,
      );
      assertEquals(error.code, "KEY", what);
      const said = [error.message, ...error.hints].join("\n");
      assertFalse(said.includes("secret of mine"), said);
      for (const line of pem.split("\n").slice(1, -2)) assertFalse(said.includes(line), said);
    }
  });

  Deno.test(`importKey() finds a key among other PEM blocks: ${engine.name}`, async () => {
    const key = await keyOf(engine, "ec-p256");
    const text = `comment\n${encodePem("PUBLIC KEY", key.publicKey)}${await key.exportPem()}`;
    using read = await engine.importKey(text);
    assertEquals(read.publicKey, key.publicKey);
  });

  Deno.test(`a disposed key neither signs nor leaves: ${engine.name}`, async () => {
    const made = await engine.generateKey("ec-p256");
    const read = await engine.importKey(await made.exportPem());
    for (const key of [made, read]) {
      key[Symbol.dispose]();
      key[Symbol.dispose]();
      assertEquals((await assertRejects(() => key.sign(data), EngineError)).code, "KEY");
      assertEquals((await assertRejects(() => key.exportPem(), EngineError)).code, "KEY");
    }
  });

  Deno.test(`verify() is false for another kind of key: ${engine.name}`, async () => {
    const [ec, ed] = [await keyOf(engine, "ec-p256"), await keyOf(engine, "ed25519")];
    const signature = await ec.sign(data);
    const { algorithm } = ec;
    const check = { algorithm: ALGORITHMS[algorithm], data, signature };
    assertFalse(engine.verify({ ...check, publicKey: ed.publicKey }));
    assertFalse(
      engine.verify({ ...check, publicKey: (await engine.generateKey("ec-p256")).publicKey }),
    );
  });

  Deno.test(`verify() refuses unknown algorithms and unreadable keys: ${engine.name}`, async () => {
    const { publicKey } = await keyOf(engine, "ec-p256");
    const signature = new Uint8Array(64);
    const bad = [
      { publicKey, algorithm: derSequence(derOid("1.2.3.4")) },
      { publicKey, algorithm: Uint8Array.of(1, 2, 3) },
      { publicKey, algorithm: new Uint8Array(0) },
      { publicKey: new Uint8Array(9), algorithm: ALGORITHMS["Ed25519"] },
      {
        publicKey: derSequence(derSequence(derOid("1.3.101.112")), derBitString(new Uint8Array(3))),
        algorithm: ALGORITHMS["Ed25519"],
      },
    ];
    for (const [i, one] of bad.entries()) {
      // To GnuTLS a key that it cannot read has signed nothing.
      if (engine.name === "gnutls" && i >= 3) {
        assertEquals(engine.verify({ ...one, data, signature }), false);
        continue;
      }
      const error = await assertRejects(
        () => Promise.try(() => engine.verify({ ...one, data, signature })),
        EngineError,
      );
      assertEquals(error.code, "SIGNATURE");
    }
  });
}
