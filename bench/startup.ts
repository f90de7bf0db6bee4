/** How long a user waits for `--help`. */

import { compare, milliseconds, mustRun, printTable } from "./measure.ts";

const project = new URL("..", import.meta.url).pathname;

/** Measures the start of our commands, of the one file, and of what a user would run instead. */
export async function benchStartup(): Promise<void> {
  const folder = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  const bundle = `${folder}/virtcreds.js`;
  await mustRun(Deno.execPath(), ["run", "-A", "cli/install.ts", "--out", bundle], {
    cwd: project,
  });
  const time = (program: string, args: readonly string[]) => ({
    name: [program.replace(/^.*\//, ""), ...args].join(" ").replace(bundle, "virtcreds"),
    run: () => milliseconds(() => mustRun(program, args, { cwd: project })),
  });
  const deno = Deno.execPath();
  const results = await compare([
    time(deno, ["run", "-A", "cli/ca.ts", "--help"]),
    time(deno, ["run", "--no-config", "-A", bundle, "ca", "--help"]),
    time(deno, ["task", "-q", "ca", "--help"]),
    time(deno, ["eval", "0"]),
    time("certtool", ["--version"]),
    time("openssl", ["version"]),
    time("virt-pki-validate", ["--version"]),
  ], 11);
  Deno.removeSync(folder, { recursive: true });
  printTable("start-up", "ms", "less", results);
}

if (import.meta.main) await benchStartup();
