/**
 * Uses a key in a token, in a process of its own, since the token's library finds its settings in
 * the environment: `token.ts URI [PIN]`. Prints what came of it as JSON.
 */

import { chooseEngine, EngineError } from "../../engine/mod.ts";

const [uri = "", pin] = Deno.args;
const engine = await chooseEngine("gnutls");
const data = new TextEncoder().encode("what is signed");
const said = async (work: () => Promise<unknown>): Promise<string> => {
  try {
    await work();
    return "done";
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return `${error.code}: ${error.message}`;
  }
};

let result: unknown;
try {
  const key = await engine.importKey(uri, pin);
  const signature = await key.sign(data);
  const exported = await said(() => key.exportPem());
  const { type, algorithm, publicKey } = key;
  key[Symbol.dispose]();
  key[Symbol.dispose]();
  const disposed = await said(() => key.sign(data));
  result = {
    type,
    algorithm,
    publicKey: publicKey.toHex(),
    signature: signature.toHex(),
    exported,
    disposed,
  };
} catch (error) {
  if (!(error instanceof EngineError)) throw error;
  result = { error: `${error.code}: ${error.message}` };
}
console.log(JSON.stringify(result));
