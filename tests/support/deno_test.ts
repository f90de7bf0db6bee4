/** Runs `deno test`, shows what it prints and counts what it ran. */

/** What a run of tests came to. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Runs the tests in files or folders. A run that breaks off before its closing line counts as
 * one failure.
 */
export async function denoTest(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Tally> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-A", ...args],
    env: { ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }), ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let tail = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    await writeAll(chunk);
    tail = (tail + decoder.decode(chunk, { stream: true })).slice(-4_000);
  }
  const { success } = await child.status;
  // deno-lint-ignore no-control-regex -- colours are what is taken away
  const summary = tail.replace(/\x1b\[[\d;]*m/g, "").match(
    /\| (\d+) passed.*?\| (\d+) failed(?:.*?\| (\d+) ignored)?/g,
  )?.at(-1);
  const [passed = 0, failed = 0, skipped = 0] = [
    /(\d+) passed/,
    /(\d+) failed/,
    /(\d+) ignored/,
  ].map((pattern) => Number(pattern.exec(summary ?? "")?.[1] ?? 0));
  return { passed, failed: success ? failed : Math.max(1, failed), skipped };
}

/** Adds tallies up. */
export function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce((a, b) => ({
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  }), { passed: 0, failed: 0, skipped: 0 });
}

/** The closing line. */
export function closingLine({ passed, failed }: Tally): string {
  return `${passed} passed, ${failed} failed`;
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length;) {
    offset += await Deno.stdout.write(bytes.subarray(offset));
  }
}
