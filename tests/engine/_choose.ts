/** Says which engine is chosen, or why none is; run with chosen permissions by tests. */

import { chooseEngine, EngineError, type EngineName } from "../../engine/mod.ts";

try {
  console.log((await chooseEngine(Deno.args[0] as EngineName | undefined)).name);
} catch (error) {
  if (!(error instanceof EngineError)) throw error;
  console.log(`${error.code}: ${error.message}`);
  for (const hint of error.hints) console.log(`hint: ${hint}`);
}
