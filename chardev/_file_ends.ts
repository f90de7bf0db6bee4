/** Files and named pipes as local ends. */

import { type Descriptor, openBothWays } from "../os/mod.ts";
import { cannotOpen, couldNotOpen, NEEDS_LIBC } from "./_cannot_open.ts";
import { pullReader, silence } from "./_pull.ts";
import type { FileChardev, PipeChardev } from "./kinds.ts";
import type { Backend } from "./local.ts";

/**
 * Opens a file for what is written; it gives nothing to read.
 *
 * @throws {ChardevError} `BACKEND` If it cannot be opened, in QEMU's words.
 */
export function fileEnd({ path, append }: Pick<FileChardev, "path" | "append">): Backend {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path, { create: true, write: true, truncate: !append, append });
  } catch (error) {
    const hint = error instanceof Deno.errors.IsADirectory
      ? `name a file in it: ${path.replace(/\/+$/, "")}/serial.log`
      : `its folder must be there: ls -ld ${folderOf(path)}`;
    throw couldNotOpen(path, error, hint);
  }
  return {
    filename: "file",
    read: silence,
    async write(bytes) {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(file.close()),
  };
}

/**
 * Opens `PATH.in` for what is read and `PATH.out` for what is written or, where those are not there,
 * PATH for both, as QEMU does.
 *
 * @throws {ChardevError} `BACKEND` If neither can be opened, in QEMU's words.
 */
export function pipeEnd({ path }: Pick<PipeChardev, "path">): Backend {
  const [input, output] = openPipes(path);
  return {
    filename: "pipe",
    read: pullReader(async (into) => await input.read(into) || null),
    async write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const count = await output.write(bytes.subarray(done));
        if (count === null) return;
        done += count;
      }
    },
    [Symbol.asyncDispose]() {
      input.close();
      output.close();
      return Promise.resolve();
    },
  };
}

function openPipes(path: string): readonly [Descriptor, Descriptor] {
  const input = tryOpen(`${path}.in`);
  const output = tryOpen(`${path}.out`);
  if (input !== undefined && output !== undefined) return [input, output];
  input?.close();
  output?.close();
  const mkfifo = `make them: mkfifo ${path}.in ${path}.out`;
  try {
    const both = openBothWays(path);
    if (both !== undefined) return [both, both];
  } catch (error) {
    throw couldNotOpen(path, error, mkfifo);
  }
  throw cannotOpen(`the pipe ${path}`, NEEDS_LIBC);
}

function tryOpen(path: string): Descriptor | undefined {
  try {
    return openBothWays(path);
  } catch {
    return undefined;
  }
}

function folderOf(path: string): string {
  return path.replace(/[^/]*$/, "") || ".";
}
