/** Our two programs as a user runs them, and what a QEMU needs to talk TLS with them. */

import type { Qemu } from "../support/qemu.ts";
import { PROJECT } from "../support/command.ts";

/** A running program. */
export interface Program extends AsyncDisposable {
  /** What it said so far. */
  stderr(): string;
  stdout(): string;
  /** Waits until its messages match; the match is given. */
  says(pattern: RegExp, timeout?: number): Promise<RegExpExecArray>;
  /** Types a line. */
  type(line: string): Promise<void>;
  endInput(): Promise<void>;
  readonly exit: Promise<number>;
  readonly pid: number;
  signal(signal: Deno.Signal): void;
}

/** Longest wait in ms for a message, on a machine that is busy. */
const SAYS_TIMEOUT = 60_000;

const SCRIPTS = {
  "target": [`${PROJECT}/migration/target.ts`],
  "slow target": [`${PROJECT}/tests/migration/_slow_target.ts`],
  "source": [`${PROJECT}/migration/source.ts`],
  "relay": [`${PROJECT}/cli/migration.ts`, "relay"],
} as const;

/**
 * Starts `migration/target.ts`, `migration/source.ts` or `migration relay`.
 *
 * @param within A command that the program is put behind.
 */
export function startProgram(
  name: keyof typeof SCRIPTS,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  within: readonly string[] = [],
): Program {
  const [program, ...before] = [...within, Deno.execPath()];
  const child = new Deno.Command(program!, {
    args: [
      ...before,
      "run",
      "-A",
      "--config",
      `${PROJECT}/deno.json`,
      ...SCRIPTS[name],
      ...args,
    ],
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const said = { stdout: "", stderr: "" };
  let changed = Promise.withResolvers<void>();
  let ended = false;
  const gather = async (stream: "stdout" | "stderr") => {
    for await (const text of child[stream].pipeThrough(new TextDecoderStream())) {
      said[stream] += text;
      changed.resolve();
      changed = Promise.withResolvers();
    }
  };
  const reading = Promise.all([gather("stdout"), gather("stderr")]);
  const exit = child.status.then(async ({ code }) => {
    await reading;
    ended = true;
    changed.resolve();
    return code;
  });
  return {
    stderr: () => said.stderr,
    stdout: () => said.stdout,
    async says(pattern, timeout = SAYS_TIMEOUT) {
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(() => late.reject(new Error("late")), timeout);
      try {
        for (;;) {
          const match = pattern.exec(said.stderr) ?? pattern.exec(said.stdout);
          if (match !== null) return match;
          if (ended) throw new Error("it ended");
          await Promise.race([changed.promise, late.promise]);
        }
      } catch (error) {
        const all = said.stderr + said.stdout;
        throw new Error(`${name} did not say ${pattern}: ${(error as Error).message}: ${all}`);
      } finally {
        clearTimeout(timer);
      }
    },
    type: (line) => input.write(new TextEncoder().encode(`${line}\n`)),
    endInput: () => input.close(),
    exit,
    pid: child.pid,
    signal: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (!ended) {
        try {
          child.kill("SIGKILL");
        } catch { /* it has ended by itself */ }
      }
      await input.close().catch(() => {});
      await exit;
    },
  };
}

/** Starts a target on a free port and gives its URI too. */
export async function startTarget(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  within: readonly string[] = [],
): Promise<Program & { readonly uri: string }> {
  const program = startProgram("target", ["--incoming", "tcp:127.0.0.1:0", ...args], env, within);
  try {
    const [, uri] = await program.says(/listening on (tcp:127\.0\.0\.1:\d+)/);
    return Object.assign(program, { uri: uri! });
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
}

/** The two flags that turn TLS on. */
export function tlsFlags(
  dir: string,
  endpoint: "client" | "server",
  more = "",
): readonly string[] {
  return [
    "--object",
    `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}${more}`,
    "--tls-creds",
    "tls0",
  ];
}

/** Turns TLS on in a QEMU, as libvirt does. */
export async function qemuTls(
  { qmp }: Qemu,
  dir: string,
  endpoint: "client" | "server",
  more: Readonly<Record<string, unknown>> = {},
  parameters: Readonly<Record<string, string>> = {},
): Promise<void> {
  await qmp.execute("object-add", {
    "qom-type": "tls-creds-x509",
    id: "tls0",
    dir,
    endpoint,
    ...more,
  });
  await qmp.execute("migrate-set-parameters", { "tls-creds": "tls0", ...parameters });
}

/** Makes a QEMU forget its credentials, so that it can be given others. */
export async function qemuPlain({ qmp }: Qemu): Promise<void> {
  await qmp.execute("migrate-set-parameters", { "tls-creds": "", "tls-hostname": "" });
  await qmp.execute("object-del", { id: "tls0" });
}

/** A copy of a credentials directory without its client certificate. */
export function withoutClient(dir: string, to: string): string {
  Deno.mkdirSync(to);
  for (const name of ["ca-cert.pem", "server-cert.pem", "server-key.pem"]) {
    Deno.copyFileSync(`${dir}/${name}`, `${to}/${name}`);
  }
  return to;
}
