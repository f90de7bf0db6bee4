/** Deno's own TLS and signatures: node:tls, node:crypto and WebCrypto. Works wherever Deno does. */

import type { Engine } from "../mod.ts";
import { loadCredentials } from "./credentials.ts";
import { generateKey, importKey } from "./key.ts";
import { openSession } from "./session.ts";
import { verify } from "./verify.ts";

/** The engine that needs nothing but Deno. */
export const platformEngine: Engine = {
  name: "platform",
  version: `Deno ${Deno.version.deno}`,
  credentials: loadCredentials,
  open: openSession,
  generateKey,
  importKey: (pem, passphrase) => Promise.try(importKey, pem, passphrase),
  verify,
};
