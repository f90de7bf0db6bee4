/** The flag that chooses what does TLS and signatures, the same on every command. */

import type { Engine, EngineName } from "../engine/mod.ts";
import type { Flag, Input } from "./_command.ts";

/** Which engine; `VIRTCREDS_ENGINE` does the same for all commands of a shell. */
export const ENGINE_FLAG: Flag = {
  name: "engine",
  value: "NAME",
  choices: ["auto", "gnutls", "platform"],
  help: "what does TLS and signatures; auto: the best that works here",
};

/** Loads the engine that the flag names. */
export async function engineFor(input: Input): Promise<Engine> {
  const { chooseEngine } = await import("../engine/mod.ts");
  const name = input.get("engine");
  return await chooseEngine(name === undefined || name === "auto" ? undefined : name as EngineName);
}
