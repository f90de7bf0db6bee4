/** A process with all that it started: a shell that is killed leaves its commands running. */

/** A process that another one with the same id cannot be taken for. */
interface Process {
  readonly pid: number;
  /** Clock ticks from the boot to its start, as text (proc(5), stat, field 22). */
  readonly started: string;
}

/** The processes below one, as they are now; none where there is no `/proc`. */
export function descendants(pid: number): Process[] {
  const children = read(`/proc/${pid}/task/${pid}/children`)?.split(" ").filter(Boolean) ?? [];
  return children.map(Number).flatMap((child) => {
    const started = startOf(child);
    return started === undefined ? [] : [{ pid: child, started }, ...descendants(child)];
  });
}

/** Signals those of the processes that still run; gives whether there were any. */
export function signalAll(processes: readonly Process[], signal: Deno.Signal): boolean {
  let any = false;
  for (const { pid, started } of processes) {
    if (startOf(pid) !== started) continue;
    try {
      Deno.kill(pid, signal);
      any = true;
    } catch { /* it has ended, or runs as somebody else */ }
  }
  return any;
}

function startOf(pid: number): string | undefined {
  // The name in parentheses may hold blanks.
  const fields = read(`/proc/${pid}/stat`)?.split(") ").pop()?.split(" ");
  return fields?.[0] === "Z" ? undefined : fields?.[19];
}

function read(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}
