import manifest from "../deno.json" with { type: "json" };

/** This toolkit's version, as in `deno.json`. */
export const VERSION: string = manifest.version;
