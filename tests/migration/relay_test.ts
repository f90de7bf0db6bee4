import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { runRelay } from "../../migration/relay.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("runRelay() says on which side it went wrong", async () => {
  using temp = temporaryDirectory();
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  const dialled = Promise.withResolvers<unknown>();
  const relaying = runRelay({
    incoming: { kind: "unix", path: `${temp.path}/in` },
    onward: { kind: "unix", path: `${temp.path}/out` },
    objects,
    parameters: defaultParameters(),
    onwardParameters: defaultParameters(),
    onEvent: ({ kind }) => kind === "listening" && dialled.resolve(undefined),
  });
  relaying.catch(() => {});
  await dialled.promise;
  await using source = await connect({ kind: "unix", path: `${temp.path}/in` });
  await source.write(new Uint8Array([0x51, 0x45, 0x56, 0x4d]));
  const error = await assertRejects(() => relaying, MigrationError);
  assertMatch(error.message, /^towards unix:\S+\/out: Failed to connect to .*: No such file/);
  assertEquals(error.hints.length > 0, true);
});

Deno.test("runRelay() refuses credentials whose peer has no name before anybody comes", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "gw" }] });
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(`tls-creds-x509,id=out,dir=${pki.host("gw")},endpoint=client`);
  const error = await assertRejects(
    () =>
      runRelay({
        incoming: { kind: "unix", path: `${temp.path}/in` },
        onward: { kind: "unix", path: `${temp.path}/out` },
        objects,
        parameters: defaultParameters(),
        onwardParameters: { ...defaultParameters(), "tls-creds": "out" },
      }),
    MigrationError,
  );
  assertEquals([error.code, error.exitCode], ["PARAMETER", 2]);
  assertMatch(error.message, /^unix:\S+ has no host whose name could be verified$/);
});
