/** Programs that a test talks to while they run. */

import { PROJECT } from "../support/command.ts";

/** A running program. */
export interface Running extends AsyncDisposable {
  type(text: string): Promise<void>;
  /** Ends its standard input. */
  end(): Promise<void>;
  stdout(): string;
  stderr(): string;
  /** Waits for a text on standard output. */
  untilOut(text: string): Promise<void>;
  /** Waits for a text on standard error and gives what it matched. */
  untilErr(pattern: RegExp): Promise<RegExpExecArray>;
  signal(name: Deno.Signal): void;
  /** Waits until it ends by itself, and gives its exit code. */
  readonly exit: Promise<number>;
}

/** Longest time in ms that a test waits for a text. */
const PATIENCE = 30_000;

/** Starts a program; it is killed with the test. */
export function start(program: string, args: readonly string[]): Running {
  const child = new Deno.Command(program, {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const texts = { out: "", err: "" };
  let ended = false;
  let inputEnded = false;
  let wake = Promise.withResolvers<void>();
  const changed = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const collect = async (stream: ReadableStream<Uint8Array>, name: "out" | "err") => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      texts[name] += chunk;
      changed();
    }
  };
  const reading = [collect(child.stdout, "out"), collect(child.stderr, "err")];
  const input = child.stdin.getWriter();
  const exit = child.status.then(async ({ code }) => {
    ended = true;
    await Promise.all(reading);
    changed();
    return code;
  });
  async function until<T>(what: string, found: () => T | undefined): Promise<T> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      const result = found();
      if (result !== undefined) return result;
      if (Date.now() > deadline || ended) {
        throw new Error(`${program} never said ${what}, only:\n${texts.out}\n${texts.err}`);
      }
      await Promise.race([wake.promise, new Promise((resolve) => setTimeout(resolve, 100))]);
    }
  }
  const end = async () => {
    if (inputEnded) return;
    inputEnded = true;
    await input.close().catch(() => {});
  };
  return {
    type: (text) => input.write(new TextEncoder().encode(text)),
    end,
    stdout: () => texts.out,
    stderr: () => texts.err,
    untilOut: (text) => until(text, () => texts.out.includes(text) || undefined).then(() => {}),
    untilErr: (pattern) => until(`${pattern}`, () => pattern.exec(texts.err) ?? undefined),
    signal: (name) => child.kill(name),
    exit,
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGKILL");
      await exit;
      await end();
    },
  };
}

/** Starts one of this project's programs from its source: `chardev/server.ts`. */
export function startProgram(file: string, args: readonly string[]): Running {
  return start(Deno.execPath(), [
    ...["run", "-A", "--no-check", "--config", `${PROJECT}/deno.json`, `${PROJECT}/${file}`],
    ...args,
  ]);
}
