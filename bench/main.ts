/** Runs the benchmarks, all or those named: `deno task bench`, `deno task bench startup`. */

const BENCHES = {
  startup: async () => (await import("./startup.ts")).benchStartup(),
  issue: async () => (await import("./issue.ts")).benchIssue(),
  creds: async () => (await import("./creds.ts")).benchCreds(),
  tls: async () => (await import("./tls.ts")).benchTls(),
  keys: async () => (await import("./keys.ts")).benchKeys(),
  migration: async () => (await import("./migration.ts")).benchMigration(),
  chardev: async () => (await import("./chardev.ts")).benchChardev(),
} as const;

const names = Deno.args.length > 0 ? Deno.args : Object.keys(BENCHES);
const unknown = names.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) {
  console.error(`error: there is no benchmark '${unknown}'`);
  console.error(`hint: one of: ${Object.keys(BENCHES).join(", ")}`);
  Deno.exit(2);
}
for (const name of names) await BENCHES[name as keyof typeof BENCHES]();
