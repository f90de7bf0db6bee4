/** Bundles the toolkit into one file for hosts and CI without a checkout. */

import { BaseError, fileError } from "../base/mod.ts";
import { type Command, finish, runCommand } from "./_command.ts";

/** What the one file starts with; no configuration file of the place it is run in counts. */
const SHEBANG = "#!/usr/bin/env -S deno run --no-config --ext=js -A\n";

const INSTALL: Command = {
  name: "install",
  summary: "Bundles the toolkit into one executable file that needs nothing but Deno",
  usage: "[--out FILE]",
  examples: [
    ["deno task install", "makes ./virtcreds"],
    ["deno task install --out /usr/local/bin/virtcreds", "puts it where every user finds it"],
  ],
  flags: [{ name: "out", value: "FILE", default: "virtcreds", help: "the file to make" }],
  async run(input) {
    const out = input.get("out")!;
    refuseForeign(out);
    const bundle = Deno.makeTempFileSync({ prefix: "virtcreds-", suffix: ".js" });
    try {
      const { success, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["bundle", "--quiet", "-o", bundle, new URL("./main.ts", import.meta.url).pathname],
        // The import map is the project's, wherever the user stands.
        cwd: new URL("..", import.meta.url).pathname,
      }).output();
      if (!success) {
        throw new BaseError("FILE_NOT_WRITABLE", {
          file: out,
          cause: `deno bundle: ${new TextDecoder().decode(stderr).trim().split("\n")[0]}`,
          hint: "run it from a checkout of the project: deno task install",
        });
      }
      replaceExecutable(out, SHEBANG + Deno.readTextFileSync(bundle));
    } finally {
      Deno.removeSync(bundle);
    }
    console.log(`made ${out} (${Math.round(Deno.statSync(out).size / 1024)} KiB)`);
    console.error(`hint: copy it to a host that has Deno 2.9 or later, then: virtcreds --help`);
    return 0;
  },
};

/** Only an earlier bundle is replaced: a device, a link or somebody's file stays what it is. */
function refuseForeign(out: string): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(out);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw fileError(error, out, "write");
  }
  const start = info.isFile ? readStart(out) : "";
  if (start === SHEBANG) return;
  throw new BaseError("FILE_EXISTS", {
    file: out,
    hint: "name a file that is not there, or one that this command made: --out FILE",
  });
}

function readStart(file: string): string {
  using handle = Deno.openSync(file);
  const bytes = new Uint8Array(SHEBANG.length);
  const count = handle.readSync(bytes) ?? 0;
  return new TextDecoder().decode(bytes.subarray(0, count));
}

function replaceExecutable(out: string, text: string): void {
  const temporary = `${out}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    Deno.writeTextFileSync(temporary, text, { mode: 0o755, createNew: true });
    Deno.renameSync(temporary, out);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch { /* it was never made */ }
    throw fileError(error, out, "write");
  }
}

if (import.meta.main) await finish(() => runCommand(INSTALL, Deno.args));
