import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Address, connect } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { defaultCapabilities } from "../../migration/capabilities.ts";
import { MigrationError } from "../../migration/error.ts";
import { builtInGuest, GUEST_BLOCK } from "../../migration/guest.ts";
import { multifdInit } from "../../migration/multifd_packet.ts";
import { defaultParameters, type MigrationParameters } from "../../migration/parameters.ts";
import { runSource } from "../../migration/source_service.ts";
import type { TargetMultifd } from "../../migration/target_service.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { start } from "./running_target.ts";
import { joined, records } from "./streams.ts";

const MiB = 2 ** 20;
const MULTIFD = { multifd: (): TargetMultifd => ({ channels: 2, compression: "none" }) };

/** Sends a guest over two channels; gives its digest. */
async function send(
  address: Address,
  objects: ObjectRegistry,
  parameters: MigrationParameters,
): Promise<string> {
  const source = builtInGuest({ ram: 2 * MiB });
  const capabilities = { ...defaultCapabilities(), multifd: true };
  await runSource({ address, objects, parameters, capabilities, source });
  return await source.digest();
}

Deno.test("runTarget() with multifd finishes with a slow source, and refuses a second one meanwhile", async () => {
  using temp = temporaryDirectory();
  const pki = await makePki(`${temp.path}/pki`, {
    hosts: [{ name: "vm1" }, { name: "other" }, { name: "vm2", ip: ["127.0.0.1"] }],
  });
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(`tls-creds-x509,id=s,dir=${pki.host("vm2")},endpoint=server`);
  await objects.add(`tls-creds-x509,id=c,dir=${pki.host("vm1")},endpoint=client`);
  await objects.add(`tls-creds-x509,id=o,dir=${pki.host("other")},endpoint=client`);
  const parameters = { ...defaultParameters(), "tls-creds": "s" };
  await using target = await start({ ...MULTIFD, objects, parameters, guestRam: 2 * MiB });
  const slow = { ...defaultParameters(), "tls-creds": "c", "max-bandwidth": 400_000 };
  const first = send(target.address, objects, slow);
  await target.event("active");
  const second = await send(target.address, objects, { ...defaultParameters(), "tls-creds": "o" })
    .catch((error) => error);
  assertInstanceOf(second, Error);
  const { error } = await target.event("refused");
  assert(String(error).includes("another migration is running"), String(error));
  slow["max-bandwidth"] = 0;
  const digest = await first;
  assertEquals((await target.event("completed")).digests?.get(GUEST_BLOCK), digest);
  assertEquals(target.events.filter(({ kind }) => kind === "failed"), []);
});

Deno.test("runTarget() with multifd gives up a source that is half open, wherever it fell silent", async () => {
  using temp = temporaryDirectory();
  const whole = joined(records());
  using objects = new ObjectRegistry({ engine: await chooseEngine() });
  await using target = await start({
    ...MULTIFD,
    file: `${temp.path}/guest`,
    idleTimeout: 500,
    firstByteTimeout: 500,
  });
  /** Two channels that have said who they are, and so many bytes of the stream. */
  const halfOpen = async (bytes: number, packet: Uint8Array) => {
    const channels = [];
    for (let i = 0; i < 3; i++) channels.push(await connect(target.address));
    await channels[0]!.write(whole.subarray(0, bytes));
    for (const channel of [0, 1]) await channels[channel + 1]!.write(multifdInit({ channel }));
    await channels[2]!.write(packet);
    return channels;
  };
  let failed = 0;
  for (const [bytes, packet] of [[200, 0], [30, 0], [200, 100]] as const) {
    const channels = await halfOpen(bytes, multifdInit({ channel: 1 }).subarray(0, packet));
    const { error } = await target.event("failed", ++failed);
    assertInstanceOf(error, MigrationError);
    assertEquals(error.code, "PEER_SILENT", `${bytes} ${packet}: ${error}`);
    assertEquals([...Deno.readDirSync(temp.path)], []);
    for (const channel of channels) channel.close();
  }
  // A main connection that says nothing at all is refused before it is a migration.
  await using silent = await connect(target.address);
  await target.event("refused");
  silent.close();
  await send(target.address, objects, defaultParameters());
  await target.end;
});
