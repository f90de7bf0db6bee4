// The target on a slow disk: each write takes so many ms more. `_slow_target.ts MS FLAGS…`

import { runProgram } from "../../cli/_command.ts";
import { migrationTarget } from "../../cli/_migration_target.ts";

const [delay, ...flags] = Deno.args;
const { write } = Deno.FsFile.prototype;
Deno.FsFile.prototype.write = async function (bytes) {
  await new Promise((resolve) => setTimeout(resolve, Number(delay)));
  return await write.call(this, bytes);
};
await runProgram({ ...migrationTarget, name: "migration/target.ts" }, flags);
