import { assert, assertEquals, assertMatch } from "@std/assert";
import { type Address, formatAddress, type TlsChannel } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { defaultCapabilities } from "../../migration/capabilities.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { runSource, type SourceOptions } from "../../migration/source_service.ts";
import { openStreamFile } from "../../migration/stream_file.ts";
import { runTarget, type TargetEvent } from "../../migration/target_service.ts";
import { withoutClient } from "../migration/programs.ts";
import { POSTCOPY_CASES, TLS_CASES, type TlsCase } from "../migration/tls_cases.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { incomingAddress, type Qemu, startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** The directories of all cases. */
interface Directories {
  readonly server: (name: TlsCase["server"]) => string;
  readonly client: (who: NonNullable<TlsCase["client"]>) => string;
  readonly keys: (whose: "own" | "other") => string;
}

const SERVERS = { "127.0.0.1": "local", "qemu.org": "named", "10.0.0.1": "elsewhere" } as const;

async function makeDirectories(folder: string): Promise<Directories> {
  const pki = await makePki(`${folder}/pki`, {
    hosts: [
      { name: "local", ip: ["127.0.0.1"] },
      { name: "named", dns: ["qemu.org"] },
      { name: "elsewhere", ip: ["10.0.0.1"] },
      { name: "friend" },
      { name: "stranger" },
    ],
  });
  const anonymous = withoutClient(pki.host("friend"), `${folder}/anonymous`);
  for (const [name, key] of [["own", "11".repeat(32)], ["other", "22".repeat(32)]]) {
    Deno.mkdirSync(`${folder}/${name}`);
    Deno.writeTextFileSync(`${folder}/${name}/keys.psk`, `qemu:${key}\n`, { mode: 0o600 });
  }
  return {
    server: (name = "127.0.0.1") => pki.host(SERVERS[name]),
    client: (who) => who === "none" ? anonymous : pki.host(who),
    keys: (whose) => `${folder}/${whose}`,
  };
}

type Properties = Readonly<Record<string, string | boolean>>;

/** The objects of one side, as `object-add` takes them. */
function objectsOf(one: TlsCase, endpoint: "client" | "server", dirs: Directories): Properties[] {
  if (one.creds === "psk") {
    const dir = dirs.keys(one.otherKey && endpoint === "server" ? "other" : "own");
    return [{
      "qom-type": "tls-creds-psk",
      id: "tls0",
      endpoint,
      dir,
      ...(endpoint === "client" ? { username: "qemu" } : {}),
    }];
  }
  const x509 = { "qom-type": "tls-creds-x509", id: "tls0", endpoint };
  if (endpoint === "client") {
    return [{ ...x509, dir: dirs.client(one.client ?? "friend"), "verify-peer": true }];
  }
  const friend = { "qom-type": "authz-simple", id: "az0", identity: "O=virtcreds CA,CN=friend" };
  return [
    { ...x509, dir: dirs.server(one.server), "verify-peer": one.verifyPeer ?? true },
    ...(one.authz ? [friend] : []),
  ];
}

function parametersOf(one: TlsCase, endpoint: "client" | "server"): Record<string, string> {
  return {
    "tls-creds": "tls0",
    ...(endpoint === "client" ? { "tls-hostname": one.hostname ?? "" } : {}),
    ...(endpoint === "server" && one.authz ? { "tls-authz": "az0" } : {}),
  };
}

/** Gives a QEMU the objects and parameters of its side. */
async function equip(
  { qmp }: Qemu,
  one: TlsCase,
  endpoint: "client" | "server",
  dirs: Directories,
): Promise<void> {
  for (const object of objectsOf(one, endpoint, dirs)) await qmp.execute("object-add", object);
  await qmp.execute("migrate-set-parameters", {
    ...parametersOf(one, endpoint),
    ...(one.postcopy === undefined ? {} : { "max-bandwidth": 2 ** 16 }),
  });
  await qmp.execute("migrate-set-capabilities", {
    capabilities: [
      { capability: "multifd", state: one.multifd ?? false },
      { capability: "return-path", state: endpoint === "client" },
      { capability: "postcopy-ram", state: one.postcopy !== undefined },
      { capability: "postcopy-preempt", state: one.postcopy === "postcopy-preempt" },
    ],
  });
}

async function makeObjects(
  one: TlsCase,
  endpoint: "client" | "server",
  dirs: Directories,
): Promise<ObjectRegistry> {
  const objects = new ObjectRegistry({ engine: await chooseEngine() });
  for (const object of objectsOf(one, endpoint, dirs)) await objects.add(JSON.stringify(object));
  return objects;
}

/** A target of ours in this process, and what happened to it. */
async function startOurs(one: TlsCase, dirs: Directories, folder: string, file?: string): Promise<
  AsyncDisposable & { readonly address: Address; readonly events: TargetEvent[] }
> {
  const objects = await makeObjects(one, "server", dirs);
  const stop = new AbortController();
  const events: TargetEvent[] = [];
  const listening = Promise.withResolvers<Address>();
  const ended = runTarget({
    address: one.transport === "unix"
      ? { kind: "unix", path: `${folder}/target` }
      : { kind: "tcp", host: "127.0.0.1", port: 0 },
    objects,
    parameters: { ...defaultParameters(), ...parametersOf(one, "server") },
    multifd: () => one.multifd ? { channels: 2, compression: "none" } : undefined,
    postcopy: () => one.postcopy !== undefined,
    ...(file === undefined ? {} : { file }),
    serve: true,
    signal: stop.signal,
    onEvent: (event) => {
      events.push(event);
      if (event.kind === "listening") listening.resolve(event.address as Address);
    },
  }).catch((error) => {
    if (!stop.signal.aborted) events.push({ kind: "failed", peer: "the target itself", error });
  });
  return {
    address: await listening.promise,
    events,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
      objects[Symbol.dispose]();
    },
  };
}

/** That AES carries a session: all of it that TLS 1.3 leaves a pre-shared key is of 128 bits. */
function assertCipher({ creds }: TlsCase, tls: TlsChannel | undefined): void {
  assertEquals(
    tls?.facts.cipher,
    {
      psk: "TLS_AES_128_GCM_SHA256",
      x509: "TLS_AES_256_GCM_SHA384",
    }[creds],
  );
}

programTest(
  "each TLS case of QEMU's own tests ends alike with a QEMU that migrates to our target",
  ["qemu-system-x86_64"],
  async (t) => {
    using temp = temporaryDirectory();
    const dirs = await makeDirectories(temp.path);
    for (const one of [...TLS_CASES, ...POSTCOPY_CASES]) {
      await t.step(one.name, async () => {
        await using qemu = await startQemu();
        await equip(qemu, one, "client", dirs);
        await using ours = await startOurs(one, dirs, temp.path);
        await qemu.qmp.execute("migrate", { uri: formatAddress(ours.address) });
        if (one.postcopy !== undefined) await switchOver(qemu);
        const { status, "error-desc": why = "" } = await migrationEnd(qemu.qmp);
        assertEquals(status, one.result === "ok" ? "completed" : "failed");
        const told = TOLD[one.name.split("/").at(-1)!];
        const isOver = () =>
          ours.events.some((event) =>
            one.result === "ok"
              ? event.kind === "completed"
              : event.kind === "refused" && told!.ours.test((event.error as Error).message)
          );
        // Who is refused after its own handshake knows it before we have told it here.
        for (let i = 0; i < 500 && !isOver(); i++) await new Promise((r) => setTimeout(r, 10));
        assert(isOver(), Deno.inspect(ours.events));
        if (one.result !== "ok") assertMatch(why, told!.qemu);
        for (const event of ours.events) {
          if (event.kind === "completed") assertCipher(one, event.tls);
        }
        if (one.postcopy !== undefined) await hasSwitched(qemu);
        // Whatever became of one source, the next one is served.
        assertEquals(ours.events.filter(({ kind }) => kind === "failed"), []);
        await runState(qemu.qmp, one.result === "ok" ? "postmigrate" : "running");
      });
    }
  },
);

/** Switches a migration to post-copy that is too slow to end before. */
async function switchOver({ qmp }: Qemu): Promise<void> {
  await qmp.execute("migrate-start-postcopy");
  await qmp.execute("migrate-set-parameters", { "max-bandwidth": 128 * 2 ** 20 });
}

/** Checks that a part of the memory came after the switch. */
async function hasSwitched({ qmp }: Qemu): Promise<void> {
  const { ram } = await qmp.execute("query-migrate") as { ram: { "postcopy-bytes": number } };
  assert(ram["postcopy-bytes"] > 0, JSON.stringify(ram));
}

/** A guest that a QEMU of the same kind takes, recorded once. */
async function record(folder: string, dirs: Directories): Promise<string> {
  const file = `${folder}/guest.mig`;
  const one = TLS_CASES[0]!;
  await using qemu = await startQemu();
  await equip(qemu, one, "client", dirs);
  await using ours = await startOurs(one, dirs, folder, file);
  await qemu.qmp.execute("migrate", { uri: formatAddress(ours.address) });
  assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
  return file;
}

programTest(
  "each TLS case of QEMU's own tests ends alike with our source and a QEMU that waits",
  ["qemu-system-x86_64"],
  async (t) => {
    using temp = temporaryDirectory();
    const dirs = await makeDirectories(temp.path);
    const file = await record(temp.path, dirs);
    using source = await openStreamFile(file);
    for (const one of TLS_CASES) {
      await t.step(one.name, async () => {
        await using qemu = await startQemu({ args: ["-incoming", "defer"] });
        await equip(qemu, one, "server", dirs);
        const path = `${temp.path}/qemu`;
        const uri = one.transport === "unix" ? `unix:${path}` : "tcp:127.0.0.1:0";
        await qemu.qmp.execute("migrate-incoming", { uri });
        const address: Address = one.transport === "unix"
          ? { kind: "unix", path }
          : await incomingAddress(qemu);
        using objects = await makeObjects(one, "client", dirs);
        const parameters = { ...defaultParameters(), ...parametersOf(one, "client") };
        const capabilities = { ...defaultCapabilities(), multifd: one.multifd ?? false };
        let tls: TlsChannel | undefined;
        const onConnected: SourceOptions["onConnected"] = (_, secured) => {
          tls = secured;
        };
        const options = { address, objects, parameters, capabilities, source, onConnected };
        const sent = await runSource(options).then(
          () => "ok",
          (error) => (error as Error).message,
        );
        if (one.result === "ok") {
          assertEquals(sent, "ok", qemu.stderr());
          assertCipher(one, tls);
          await runState(qemu.qmp, "running");
        } else {
          assertMatch(sent, WORDS[one.name.split("/").at(-1)!]!);
          if (one.result === "quit") assertEquals(await qemu.exit, 1);
          else await runState(qemu.qmp, "inmigrate");
        }
      });
    }
  },
);

/** What our target says of each failure, and the QEMU that migrates (`error-desc`). */
const TOLD: Readonly<Record<string, { readonly ours: RegExp; readonly qemu: RegExp }>> = {
  mismatch: {
    ours: /^TLS handshake failed: An illegal parameter has been received\.$/,
    qemu: /^TLS handshake failed: The TLS connection was non-properly terminated\.$/,
  },
  // The client sees to the name: all that is known here is that it has left.
  "default-host": {
    ours: /^the peer closed the connection before the first byte$/,
    qemu: /^No hostname for certificate validation$/,
  },
  "mismatch-host": {
    ours: /^the peer closed the connection before the first byte$/,
    qemu: /^Certificate does not match the hostname 127\.0\.0\.1$/,
  },
  // Its own handshake is over by then, and it may have nothing more to write.
  "hostile-client": {
    ours: /^TLS x509 authz check for O=virtcreds CA,CN=stranger is denied$/,
    qemu: /^$|^Cannot (write to|read from) TLS channel: /,
  },
  "reject-anon-client": {
    ours: /^Verify failed: No certificate was found\.$/,
    qemu: /^$|^Cannot (write to|read from) TLS channel: /,
  },
};

/** What our source says of each failure. */
const WORDS: Readonly<Record<string, RegExp>> = {
  mismatch: /^TLS handshake failed: /,
  "default-host": /^No hostname for certificate validation$/,
  "mismatch-host": /^Certificate does not match the hostname 127\.0\.0\.1$/,
  // With TLS 1.3 a server refuses a client that has finished its own handshake.
  "hostile-client": /^the peer closed the connection /,
  "reject-anon-client": /^the peer closed the connection /,
};
