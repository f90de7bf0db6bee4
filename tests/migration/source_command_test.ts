import { assertEquals, assertRejects } from "@std/assert";
import { ChannelError } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { runSource, type SourceOptions } from "../../migration/source_service.ts";
import { stillGuest } from "./streams.ts";

const ENGINE = await chooseEngine();

function options(command: string): SourceOptions {
  return {
    address: { kind: "exec", command },
    objects: new ObjectRegistry({ engine: ENGINE }),
    parameters: defaultParameters(),
    source: stillGuest(4096),
  };
}

Deno.test("runSource() names a command that failed though what it has started holds its output", async () => {
  const command = "exec 3<&0; (cat <&3 >/dev/null; :) & exit 7";
  const error = await assertRejects(() => runSource(options(command)), ChannelError);
  assertEquals([error.code, error.facts.value], ["COMMAND_FAILED", "7"]);
});

Deno.test("runSource() tells of a command that takes all and answers nothing", async () => {
  const stop = new AbortController();
  const reason = new MigrationError("ABORTED");
  let told = 0;
  const sending = runSource({
    ...options("cat >/dev/null"),
    patience: 20,
    signal: stop.signal,
    onUnanswered: () => {
      told++;
      stop.abort(reason);
    },
  });
  assertEquals(await assertRejects(() => sending, MigrationError), reason);
  assertEquals(told, 1);
});
