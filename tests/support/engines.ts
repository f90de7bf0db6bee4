/** The engines that tests of behaviour run over. */

import { chooseEngine, type Engine, EngineError, type EngineName } from "../../engine/mod.ts";

/**
 * Every engine that works here, or the one that `VIRTCREDS_ENGINE` forces. A missing GnuTLS is said
 * loudly, and is a failure in CI, where it is installed.
 */
export async function enginesHere(): Promise<Engine[]> {
  const forced = Deno.env.get("VIRTCREDS_ENGINE");
  const names: readonly EngineName[] = forced === "gnutls" || forced === "platform"
    ? [forced]
    : ["platform", "gnutls"];
  const engines: Engine[] = [];
  for (const name of names) {
    try {
      engines.push(await chooseEngine(name));
    } catch (error) {
      const unavailable = error instanceof EngineError && error.code === "ENGINE_UNAVAILABLE";
      if (!unavailable || forced || Deno.env.get("CI")) throw error;
      console.error(`SKIPPED: every test of the ${name} engine: ${error.message}`);
      for (const hint of error.hints) console.error(`hint: ${hint}`);
    }
  }
  return engines;
}
