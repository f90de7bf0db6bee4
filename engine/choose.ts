/** Which engine does the work. */

import { EngineError } from "./error.ts";
import type { Engine, EngineName } from "./mod.ts";

const loaded = new Map<EngineName, Promise<Engine>>();

/**
 * Gives the engine that was asked for, by argument or in `VIRTCREDS_ENGINE`, else GnuTLS where it
 * can be loaded and the platform's own where not. Each is loaded once.
 *
 * @throws {EngineError} `ENGINE_UNAVAILABLE` if a forced engine does not work here,
 * `ENGINE_UNKNOWN` if the variable names none.
 */
export async function chooseEngine(force?: EngineName): Promise<Engine> {
  const wanted = force ?? engineFromEnvironment();
  if (wanted !== undefined) return await load(wanted);
  try {
    return await load("gnutls");
  } catch (error) {
    if (error instanceof EngineError && error.code === "ENGINE_UNAVAILABLE") {
      return await load("platform");
    }
    throw error;
  }
}

function engineFromEnvironment(): EngineName | undefined {
  const state = Deno.permissions.querySync({ name: "env", variable: "VIRTCREDS_ENGINE" });
  const value = state.state === "granted" ? Deno.env.get("VIRTCREDS_ENGINE") : undefined;
  if (value === undefined || value === "" || value === "auto") return undefined;
  if (value === "gnutls" || value === "platform") return value;
  throw new EngineError("ENGINE_UNKNOWN", {
    option: "VIRTCREDS_ENGINE",
    value,
    hint: "one of: auto, gnutls, platform",
  });
}

function load(name: EngineName): Promise<Engine> {
  let engine = loaded.get(name);
  if (engine === undefined) {
    engine = name === "platform"
      ? import("./platform/mod.ts").then((room) => room.platformEngine)
      : import("./gnutls/mod.ts").then((room) => room.loadGnutlsEngine());
    loaded.set(name, engine);
  }
  return engine;
}
