/** TLS and signatures by GnuTLS, the library that QEMU itself uses. */

import { EngineError } from "../error.ts";
import type { Engine } from "../mod.ts";
import { dnText, matchHostname } from "./certificate.ts";
import { GnutlsCredentials } from "./credentials.ts";
import { generateKey, importKey } from "./key.ts";
import { loadLibrary } from "./library.ts";
import { checkPriority } from "./priority.ts";
import { openSession } from "./session.ts";
import { verifySignature } from "./signature.ts";
import { Tokens } from "./token.ts";
import { Transports } from "./transport.ts";

/**
 * Loads the library and gives the engine.
 *
 * @throws {EngineError} `ENGINE_UNAVAILABLE` with what is missing.
 */
export function loadGnutlsEngine(): Engine {
  const lib = loadLibrary();
  const transports = new Transports(lib);
  const tokens = new Tokens(lib);
  return {
    name: "gnutls",
    version: `GnuTLS ${lib.version}`,
    credentials: (spec) => new GnutlsCredentials(lib, spec, transports.lookup),
    async open(channel, options) {
      const { credentials } = options;
      if (!(credentials instanceof GnutlsCredentials)) {
        channel.close();
        throw new EngineError("TLS_CREDENTIALS", { cause: "they are another engine's" });
      }
      return await openSession(transports, channel, { ...options, credentials });
    },
    generateKey: (type) => generateKey(lib, type),
    importKey: (key, passphrase) =>
      Promise.try(() =>
        key.startsWith("pkcs11:")
          ? tokens.importKey(key, passphrase)
          : importKey(lib, key, passphrase)
      ),
    verify: (check) => verifySignature(lib, check),
    checkPriority: (text) => checkPriority(lib, text),
    matchHostname: (certificate, name) => matchHostname(lib, certificate, name),
    dnText: (certificate) => dnText(lib, certificate),
  };
}
