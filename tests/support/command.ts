/** Runs this project's own commands as a user would. */

/** The project's folder. */
export const PROJECT = new URL("../../", import.meta.url).pathname.replace(/\/$/, "");

/** What a finished program left. */
export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a program is run. */
export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Longest time in ms; the program is killed after it and the test fails. */
  readonly timeout?: number;
  /** What it is killed with: what has something to clean up needs `SIGTERM`. */
  readonly killedBy?: Deno.Signal;
}

/** Runs a program to its end. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  const child = new Deno.Command(program, {
    args: [...args],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { NO_COLOR: "1", ...options.env },
    stdin: options.stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const timeout = options.timeout ?? 60_000;
  let hung = false;
  const timer = setTimeout(() => {
    hung = true;
    child.kill(options.killedBy ?? "SIGKILL");
  }, timeout);
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    // A program may end without reading all that it is given.
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const output = await child.output();
  clearTimeout(timer);
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (hung || output.signal === "SIGKILL") {
    throw new Error(
      `${program} ${args.join(" ")} hung for ${timeout} ms: ${decode(output.stderr)}`,
    );
  }
  return { code: output.code, stdout: decode(output.stdout), stderr: decode(output.stderr) };
}

/** Runs `ca …`, `creds …`, … from the source, without the task runner's start-up. */
export function virtcreds(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const [group, ...rest] = args;
  const file = `${PROJECT}/cli/${group}.ts`;
  return run(Deno.execPath(), ["run", "-A", "--config", `${PROJECT}/deno.json`, file, ...rest], {
    ...options,
    cwd: options.cwd ?? PROJECT,
    env: { ...(options.cwd === undefined ? {} : { INIT_CWD: options.cwd }), ...options.env },
  });
}
