import type { Engine } from "../mod.ts";
export const platformEngine: Engine = undefined as unknown as Engine;
