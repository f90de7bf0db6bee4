import { assert, assertEquals, assertRejects } from "@std/assert";
import { setTimeout as delay } from "node:timers/promises";
import { type Address, connect, listen, startTls } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { runSource } from "../../migration/source_service.ts";
import { readToEnd } from "../support/channels.ts";
import { makePki } from "../support/pki.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { ANY, start } from "./running_target.ts";
import { collected, guestStream, hex, joined, records, stillGuest } from "./streams.ts";

const GUEST = stillGuest(2 * 1024 * 1024);
async function send(address: Address, source = GUEST): ReturnType<typeof runSource> {
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  return await runSource({ address, objects, parameters: defaultParameters(), source });
}

function files(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map((entry) => entry.name).sort();
}

Deno.test("runTarget() ends with the first complete migration, its file in place", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/guest`;
  await using target = await start({ file });
  assertEquals((await send(target.address)).acknowledged, "shut");
  assertEquals((await target.end).summary.bytes, GUEST.length);
  assertEquals(Deno.readFileSync(file), collected(guestStream(2 * 1024 * 1024)));
  assertEquals(target.events.map(({ kind }) => kind), ["listening", "active", "completed"]);
  await assertRejects(() => connect(target.address), Error, "Failed to connect");
});

Deno.test("runTarget() names each bad peer, keeps nothing of it and serves the next", async () => {
  using temp = temporaryDirectory();
  await using target = await start({ file: `${temp.path}/guest`, firstByteTimeout: 1_500 });
  const whole = joined(records());
  const bad: [string, Uint8Array | undefined, "refused" | "failed"][] = [
    ["the peer closed the connection before the first byte", new Uint8Array(0), "refused"],
    ["sent nothing for 2 s", undefined, "refused"],
    ["Not a migration stream at byte 0", hex("16030100aa"), "failed"],
    ["the stream is not complete", whole.subarray(0, whole.length - 5), "failed"],
    ["Unknown savevm section type 9", joined([records()[0]!, hex("09")]), "failed"],
  ];
  const count = { refused: 0, failed: 0 };
  for (const [text, bytes, kind] of bad) {
    await using channel = await connect(target.address);
    if (bytes !== undefined) {
      await channel.write(bytes);
      await channel.closeWrite();
    }
    const event = await target.event(kind, ++count[kind]);
    assert(String(event.error).includes(text), String(event.error));
    assertEquals(files(temp.path), []);
  }
  await send(target.address);
  await target.end;
  assertEquals(files(temp.path), ["guest"]);
});

Deno.test("runTarget() tells where a stream was cut, keeps nothing of it and serves the next", async () => {
  using temp = temporaryDirectory();
  const parts = records();
  const whole = joined(parts);
  const cuts = new Set<number>();
  let border = 0;
  for (const part of parts) cuts.add(border += part.length);
  const random = soakCount(500);
  for (let i = 0; i < random; i++) cuts.add(1 + Math.floor(Math.random() * (whole.length - 1)));
  cuts.delete(whole.length);
  await using target = await start({ file: `${temp.path}/guest`, serve: true });
  let failed = 0;
  for (const cut of cuts) {
    await using channel = await connect(target.address);
    await channel.write(whole.subarray(0, cut));
    await channel.closeWrite();
    const { error } = await target.event("failed", ++failed);
    assert(error instanceof MigrationError, String(error));
    assertEquals([error.code, error.facts.offset], ["STREAM_TRUNCATED", cut]);
    assertEquals(files(temp.path), []);
  }
  await send(target.address);
  assertEquals(files(temp.path), ["guest"]);
  soakRow("streams cut on their way to a target", cuts.size, "each told where, nothing kept");
});

Deno.test("runTarget() refuses a second source and finishes with the first", async () => {
  using temp = temporaryDirectory();
  await using target = await start({ file: `${temp.path}/guest`, once: true });
  await using first = await connect(target.address);
  const whole = joined(records());
  await first.write(whole.subarray(0, 100));
  await target.event("active");
  await assertRejects(() => send(target.address), MigrationError, "the peer closed the connection");
  const { error } = await target.event("refused");
  assert(String(error).includes("another migration is running"));
  await first.write(whole.subarray(100));
  const back = readToEnd(first);
  await first.closeWrite();
  await back;
  assertEquals((await target.end).summary.bytes, whole.length);
});

Deno.test("runTarget() is not held up by peers that say nothing", async () => {
  await using target = await start();
  const silent = await Promise.all(Array.from({ length: 20 }, () => connect(target.address)));
  assertEquals((await send(target.address)).acknowledged, "shut");
  await target.end;
  for (const channel of silent) channel.close();
});

/** Connects so many times, says nothing, and hangs up at the end. */
async function silentPeers(address: Address, count: number): Promise<AsyncDisposable> {
  const channels = await Promise.all(Array.from({ length: count }, () => connect(address)));
  return {
    [Symbol.asyncDispose]() {
      for (const channel of channels) channel.close();
      return Promise.resolve();
    },
  };
}

for (const secured of [false, true]) {
  Deno.test(`runTarget() lets a source through that silent peers hold the door against, ${secured ? "over TLS" : "in plain"}`, async () => {
    using temp = temporaryDirectory();
    using objects = new ObjectRegistry({ engine: await chooseEngine() });
    const parameters = { ...defaultParameters() };
    const client = { ...defaultParameters() };
    if (secured) {
      const pki = await makePki(`${temp.path}/pki`, {
        hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
      });
      await objects.add(`tls-creds-x509,id=s,dir=${pki.host("vm2")},endpoint=server`);
      await objects.add(`tls-creds-x509,id=c,dir=${pki.host("vm1")},endpoint=client`);
      parameters["tls-creds"] = "s";
      client["tls-creds"] = "c";
    }
    await using target = await start({ objects, parameters, once: true });
    const { address } = target;
    await using _silent = await silentPeers(address, 70);
    const { error } = await target.event("refused", 6);
    assertEquals((error as MigrationError).code, "CROWDED");
    assert((error as MigrationError).hints.length > 0);
    const sent = await runSource({ address, objects, parameters: client, source: GUEST });
    assertEquals(sent.acknowledged, "shut");
    assertEquals((await target.end).summary.bytes, GUEST.length);
    // One made room for the source, and nobody was dropped without a word.
    assertEquals(target.events.filter(({ kind }) => kind === "refused").length, 7);
  });
}

Deno.test("runTarget() keeps a verified source that is slow, whoever else comes", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
  });
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(`tls-creds-x509,id=s,dir=${pki.host("vm2")},endpoint=server`);
  await objects.add(`tls-creds-x509,id=c,dir=${pki.host("vm1")},endpoint=client`);
  const parameters = { ...defaultParameters(), "tls-creds": "s" };
  await using target = await start({ objects, parameters });
  await using slow = await startTls(await connect(target.address), {
    creds: objects.tlsCreds("c", "client"),
    hostname: "127.0.0.1",
  });
  // Its own handshake is over before the target's is, with TLS 1.3: the others come after that.
  await delay(200);
  await using _silent = await silentPeers(target.address, 70);
  await target.event("refused", 7);
  await slow.write(joined(records()));
  assertEquals((await target.event("active")).tls?.verified, true);
  const back = readToEnd(slow);
  await slow.closeWrite();
  await back;
  await target.end;
});

Deno.test("runTarget() tells of each peer that says nothing, and recovers", async () => {
  await using target = await start({ firstByteTimeout: 2_000 });
  await using _silent = await silentPeers(target.address, 80);
  // Those over the limit make room at once, the others go when their time is over.
  await target.event("refused", 80);
  assertEquals((await send(target.address)).acknowledged, "shut");
});

Deno.test("runTarget() goes on with serve, and keeps the guests before unless it is to replace them", async () => {
  for (const replace of [false, true]) {
    using temp = temporaryDirectory();
    const file = `${temp.path}/guest`;
    await using target = await start({ file, serve: true, replace });
    for (const size of [1, 3, 2]) {
      const guest = stillGuest(size * 1024 * 1024);
      await send(target.address, guest);
      assertEquals(Deno.statSync(file).size, guest.length);
    }
    target.stop();
    await assertRejects(() => target.end, MigrationError, "stopped");
    assertEquals(files(temp.path), replace ? ["guest"] : ["guest", "guest.1", "guest.2"]);
  }
});

Deno.test("runTarget() ends with once at the first failure, and says which", async () => {
  await using target = await start({ once: true });
  await using channel = await connect(target.address);
  await channel.write(hex("00000000"));
  await assertRejects(() => target.end, MigrationError, "Not a migration stream");
});

Deno.test("runTarget() leaves no partial file when it is stopped in a migration", async () => {
  using temp = temporaryDirectory();
  await using target = await start({ file: `${temp.path}/guest` });
  await using channel = await connect(target.address);
  await channel.write(joined(records()).subarray(0, 9000));
  await target.event("active");
  assertEquals(files(temp.path), ["guest.partial"]);
  target.stop();
  await assertRejects(() => target.end, MigrationError, "stopped");
  assertEquals(files(temp.path), []);
});

Deno.test("runTarget() fails where the address is in use", async () => {
  await using taken = await listen(ANY);
  await assertRejects(() => start({ address: taken.address }), Error, "in use");
});

Deno.test("runTarget() and runSource() name credentials that are not there", async () => {
  const parameters = { ...defaultParameters(), "tls-creds": "tls9" };
  await using target = await start({ parameters });
  await using channel = await connect(target.address);
  const { error } = await target.event("refused");
  assertEquals((error as Error).message, "No TLS credentials with id 'tls9'");
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await assertRejects(
    () => runSource({ address: target.address, objects, parameters, source: GUEST }),
    Error,
    "No TLS credentials with id 'tls9'",
  );
  assertEquals(await channel.read(new Uint8Array(1)), null);
});

Deno.test("runSource() dials nobody when a name is to be verified without TLS", async () => {
  await using listener = await listen(ANY);
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  const parameters = { ...defaultParameters(), "tls-hostname": "vm2" };
  const error = await assertRejects(
    () => runSource({ address: listener.address, objects, parameters, source: GUEST }),
    MigrationError,
    "without tls-creds the guest goes in plain",
  );
  assertEquals([error.code, error.exitCode, error.hints.length], ["PARAMETER", 2, 1]);
  await assertRejects(() => listener.accept(AbortSignal.timeout(100)), DOMException, "timeout");
});

Deno.test("runTarget() with multifd names a source that has it off, and listens on", async () => {
  const multifd = () => ({ channels: 2, compression: "none" }) as const;
  await using target = await start({ multifd, idleTimeout: 300 });
  const sent = send(target.address).catch((error) => error);
  assertEquals((await target.event("gathering")).channels, 2);
  const { error } = await target.event("refused");
  assertEquals(
    (error as Error).message,
    "the source has multifd off: it sent its stream and no channel within 0.3 s",
  );
  await sent;
  await send(target.address).catch(() => {});
  await target.event("refused", 2);
});
