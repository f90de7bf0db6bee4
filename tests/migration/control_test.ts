import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Transport } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { defaultCapabilities } from "../../migration/capabilities.ts";
import {
  MIGRATION_EVENTS,
  type MigrationControls,
  type SourceControls,
  type TargetControls,
  tellEvents,
} from "../../migration/control.ts";
import { migrationHmp } from "../../migration/control_hmp.ts";
import { migrationQmp } from "../../migration/control_qmp.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { describeMigrate, queryMigrate } from "../../migration/query_migrate.ts";
import { makeRunState } from "../../migration/run_state.ts";
import {
  beginState,
  countPass,
  endState,
  initialRam,
  initialState,
  setStatus,
} from "../../migration/state.ts";
import { NO_UUID } from "../../migration/uuid.ts";
import {
  completeLine,
  executeLine,
  type JsonObject,
  type JsonValue,
  makeEventHub,
  type MonitorSession,
} from "../../monitor/mod.ts";

/** A client whose descriptors have numbers that nobody opens. */
function session(descriptors: Record<string, number> = {}): MonitorSession {
  return {
    signal: new AbortController().signal,
    mayWait: true,
    takeDescriptor: () => undefined,
    descriptors: {
      set: (name, number) => descriptors[name] = number,
      take(name) {
        const number = descriptors[name];
        delete descriptors[name];
        return number;
      },
      [Symbol.dispose]: () => {},
    },
  };
}

interface Shared extends Disposable {
  readonly told: [string, unknown][];
  readonly common: Omit<MigrationControls, "side" | "cancel">;
}

async function shared(): Promise<Shared> {
  const events = makeEventHub(MIGRATION_EVENTS);
  const told: [string, unknown][] = [];
  events.listen(({ event, data }) => told.push([String(event), data]));
  const objects = new ObjectRegistry({ engine: await chooseEngine() });
  const common = {
    state: initialState(),
    parameters: defaultParameters(),
    capabilities: defaultCapabilities(),
    objects,
    events,
    run: makeRunState("running", events),
  };
  tellEvents(common);
  return { told, common, [Symbol.dispose]: () => objects[Symbol.dispose]() };
}

/** Asks as a client of QMP would. */
async function ask(
  controls: MigrationControls,
  name: string,
  args: JsonObject = {},
  from = session(),
): Promise<JsonValue> {
  return await migrationQmp(controls).find((command) => command.name === name)!.run(args, from);
}

async function type(controls: MigrationControls, line: string, from = session()): Promise<string> {
  const monitor = { qmp: [], hmp: migrationHmp(controls), events: controls.events, quit: () => {} };
  return await executeLine(monitor, line, from);
}

function source({ common }: Shared, migrate: (address: Transport) => Promise<void>) {
  const done: string[] = [];
  const controls: SourceControls = {
    ...common,
    side: "source",
    migrate,
    cancel: () => done.push("cancel"),
    switchOver: () => done.push("switch over"),
  };
  return { controls, done };
}

Deno.test("query-uuid and info uuid tell the guest's UUID, or that it has none", async () => {
  using base = await shared();
  const { controls } = source(base, () => Promise.resolve());
  const [none, some] = [NO_UUID, "11111111-2222-3333-4444-555555555555"];
  assertEquals(await ask(controls, "query-uuid"), { UUID: none });
  const named = { ...controls, uuid: some };
  assertEquals(await ask(named, "query-uuid"), { UUID: some });
  assertEquals((await type(named, "info uuid")).trim(), some);
});

Deno.test("what later releases than QEMU 7.2 have is refused by name", async () => {
  using base = await shared();
  const { controls } = source(base, () => Promise.resolve());
  const uri = "tcp:127.0.0.1:1";
  const capability = (name: string) => ({ capabilities: [{ capability: name, state: true }] });
  const rows: readonly [command: string, args: JsonObject, text: string][] = [
    ["migrate", { channels: [] }, "Parameter 'uri' is missing"],
    ["migrate", { uri, channels: [] }, "Parameter 'channels' is unexpected"],
    ["migrate-incoming", { channels: [] }, "Parameter 'uri' is missing"],
    ["migrate-incoming", { uri, "exit-on-error": true }, "Parameter 'exit-on-error' is unexpected"],
    ...[
      ...["avail-switchover-bandwidth", "direct-io", "mode", "multifd-qatzip-level"],
      ...["vcpu-dirty-limit", "x-vcpu-dirty-limit-period", "cpr-exec-command"],
    ].map((name): [string, JsonObject, string] => [
      ...["migrate-set-parameters", { [name]: 1 }] as const,
      `Parameter '${name}' is unexpected`,
    ]),
    ...["switchover-ack", "dirty-limit", "mapped-ram"].map((name): [string, JsonObject, string] => [
      ...["migrate-set-capabilities", capability(name)] as const,
      `does not accept value '${name}'`,
    ]),
    [
      ...["migrate-set-parameters", { "zero-page-detection": "none" }] as const,
      "Parameter 'zero-page-detection' does not accept value 'none'",
    ],
  ];
  for (const [command, args, text] of rows) {
    await assertRejects(() => ask(controls, command, args), Error, text);
  }
  for (const word of ["legacy", "multifd"]) {
    await ask(controls, "migrate-set-parameters", { "zero-page-detection": word });
  }
});

Deno.test("migrate is under way until its end, and can be cancelled and let go on", async () => {
  using base = await shared();
  const { promise, resolve } = Promise.withResolvers<void>();
  const { controls, done } = source(base, () => {
    beginState(base.common.state, "setup");
    return promise;
  });
  const { state } = controls;
  await ask(controls, "migrate", { uri: "tcp:h:1" });
  await assertRejects(
    () => ask(controls, "migrate", { uri: "tcp:h:1" }),
    Error,
    "There's a migration process in progress",
  );
  await assertRejects(
    () => ask(controls, "migrate-set-capabilities", { capabilities: [] }),
    Error,
    "There's a migration process in progress",
  );
  // Parameters may be set while it runs.
  await ask(controls, "migrate-set-parameters", { "max-bandwidth": 5 });
  await assertRejects(
    () => ask(controls, "migrate-continue", { state: "pre-switchover" }),
    Error,
    "Migration not in expected state: setup",
  );
  setStatus(state, "pre-switchover");
  await assertRejects(
    () => ask(controls, "migrate-continue", { state: "device" }),
    Error,
    "state: pre",
  );
  await ask(controls, "migrate-continue", { state: "pre-switchover" });
  setStatus(state, "active");
  await ask(controls, "migrate_cancel");
  assertEquals([state.status, done], ["cancelling", ["switch over", "cancel"]]);
  endState(state, "cancelled", "stopped by migrate_cancel");
  assertEquals(await ask(controls, "query-migrate"), { status: "cancelled" });
  await ask(controls, "migrate_cancel");
  assertEquals(done.length, 2);
  resolve();
});

Deno.test("migrate-start-postcopy is refused, and says that this source knows no post-copy", async () => {
  using base = await shared();
  const { controls } = source(base, () => Promise.resolve());
  const refusal = async () =>
    await ask(controls, "migrate-start-postcopy").catch((error) => (error as Error).message);
  assertMatch(String(await refusal()), /^Enable postcopy with migrate_set_capability /);
  base.common.capabilities["postcopy-ram"] = true;
  assertEquals(await refusal(), "Postcopy must be started after migration has been started");
  beginState(base.common.state, "setup");
  const words =
    "post-copy is not supported by this source: it sends all of the guest before the switch";
  assertEquals(await refusal(), words);
  assertEquals((await type(controls, "migrate_start_postcopy")).trim(), `Error: ${words}`);
});

Deno.test("a source that has gone is not sent again before it goes on", async () => {
  using base = await shared();
  const { controls } = source(base, () => Promise.resolve());
  controls.run.set("finish-migrate");
  controls.run.set("postmigrate");
  await assertRejects(
    () => ask(controls, "migrate", { uri: "tcp:h:1" }),
    Error,
    "Can't migrate the vm that was paused due to previous migration",
  );
  await ask(controls, "cont");
  await ask(controls, "migrate", { uri: "tcp:h:1" });
  assertEquals(base.told.map(([event]) => event), ["STOP", "RESUME"]);
});

Deno.test("migrate and migrate-incoming take the descriptors that getfd has named", async () => {
  using base = await shared();
  const went: Transport[] = [];
  const { controls } = source(base, (address) => Promise.resolve(void went.push(address)));
  const client = session({ mig: 77 });
  await ask(controls, "migrate", { uri: "fd:mig" }, client);
  assertEquals(went, [{ kind: "fd", name: "mig", number: 77 }]);
  // It was taken.
  await assertRejects(
    () => ask(controls, "migrate", { uri: "fd:mig" }, client),
    Error,
    "File descriptor named 'mig' has not been found",
  );
  assertEquals(controls.state.status, "failed");
});

Deno.test("migrate waits on the human monitor, with -d and for QMP it does not", async () => {
  using base = await shared();
  const { promise, reject } = Promise.withResolvers<void>();
  const { controls } = source(base, () => promise);
  assertEquals(await type(controls, "migrate -d tcp:h:1"), "");
  let waited = true;
  const waiting = type(controls, "migrate unix:/x").then((output) => {
    waited = false;
    return output;
  });
  assertEquals(
    await type(controls, "migrate tcp:h:1", { ...session(), mayWait: false }),
    "terminal does not allow synchronous migration, continuing detached\n",
  );
  assert(waited);
  reject(new MigrationError("REFUSED", { text: "nobody there" }));
  // Why it failed is not for this monitor, as in QEMU.
  assertEquals(await waiting, "");
});

Deno.test("migrate-incoming listens once, and again after a failure", async () => {
  using base = await shared();
  const heard: string[] = [];
  let fails = true;
  const controls: TargetControls = {
    ...base.common,
    run: makeRunState("inmigrate", base.common.events),
    side: "target",
    isStarted: false,
    cancel: () => {},
    incoming(address) {
      heard.push(address.kind);
      return fails
        ? Promise.reject(new MigrationError("REFUSED", { text: "in use", hint: "take another" }))
        : Promise.resolve();
    },
  };
  for (let i = 0; i < 2; i++) {
    assertEquals(
      await type(controls, "migrate_incoming unix:/x"),
      "Error: in use\nhint: take another\n",
    );
  }
  fails = false;
  // A number is a descriptor that was inherited.
  assertEquals(await type(controls, "migrate_incoming fd:9"), "");
  assertEquals(
    await type(controls, "migrate_incoming unix:/x"),
    "Error: The incoming migration has already been started\n",
  );
  assertEquals(heard, ["unix", "unix", "fd"]);
  assertEquals(base.told.filter(([event]) => event === "MIGRATION").length, 3);
});

Deno.test("MIGRATION and MIGRATION_PASS come with the capability events alone", async () => {
  using base = await shared();
  const { state, capabilities } = base.common;
  beginState(state, "setup");
  capabilities.events = true;
  state.ram = initialRam(8192);
  countPass(state);
  setStatus(state, "active");
  setStatus(state, "active");
  endState(state, "completed");
  assertEquals(base.told, [
    ["MIGRATION_PASS", { pass: 1 }],
    ["MIGRATION", { status: "active" }],
    ["MIGRATION", { status: "completed" }],
  ]);
});

Deno.test("query-migrate tells what is known at each state", () => {
  const state = initialState();
  assertEquals(queryMigrate(state, "source"), {});
  assertEquals(describeMigrate(state, "source").split("\n").at(-1), "clear-bitmap-shift: 18");
  beginState(state, "setup");
  assertEquals(queryMigrate(state, "source"), { status: "setup" });
  state.ram = initialRam(2 ** 20);
  state.throttle = 20;
  state.expectedDowntime = 12.4;
  setStatus(state, "active");
  const active = queryMigrate(state, "source") as Record<string, JsonValue>;
  assertEquals(active["expected-downtime"], 12);
  assertEquals(active["cpu-throttle-percentage"], 20);
  assertEquals((active["ram"] as JsonObject)["remaining"], 2 ** 20);
  assert(describeMigrate(state, "source").includes("\nexpected downtime: 12 ms\n"));
  state.bytes = 4096;
  state.downtime = 3;
  endState(state, "completed");
  const completed = queryMigrate(state, "source") as Record<string, JsonValue>;
  assertEquals([completed["downtime"], "expected-downtime" in completed], [3, false]);
  assertEquals((completed["ram"] as JsonObject)["transferred"], 4096);
  assert(describeMigrate(state, "source").includes("\ntransferred ram: 4 kbytes\n"));
  endState(state, "failed", "gone");
  assertEquals(queryMigrate(state, "source"), { status: "failed", "error-desc": "gone" });
  assert(
    describeMigrate(state, "source").endsWith("Migration status: failed (gone)\ntotal time: 0 ms"),
  );
});

Deno.test("the tab key completes parameters, capabilities and their values", async () => {
  using base = await shared();
  const { controls } = source(base, () => Promise.resolve());
  const commands = migrationHmp(controls);
  const rows: [line: string, words: readonly string[]][] = [
    ["migrate_set_parameter tls-", ["tls-creds", "tls-hostname", "tls-authz"]],
    ["migrate_set_capability multi", ["multifd"]],
    ["migrate_set_capability multifd o", ["on", "off"]],
    ["migrate_continue pre", ["pre-switchover"]],
    ["info mig", ["migrate", "migrate_capabilities", "migrate_parameters"]],
    ["help migrate_i", ["migrate_incoming"]],
    ["object_add x", []],
  ];
  for (const [line, words] of rows) assertEquals(completeLine(commands, line).words, words, line);
});
