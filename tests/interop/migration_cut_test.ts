import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type Address, connect, formatTransport, listen } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { type ByteChannel, chooseEngine } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { migrationEnd, runState } from "../../migration/qmp_client.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { qemuTls } from "../migration/programs.ts";
import { ANY, start } from "../migration/running_target.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { soakCount, soakRow } from "../support/soak.ts";
import { temporaryDirectory } from "../support/temp.ts";

function files(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

/** One connection that went through the proxy. */
interface Passed {
  /** Bytes that the target got. */
  readonly bytes: number;
  readonly isCut: boolean;
}

/** Stands between a source and a target, and cuts. */
interface CuttingProxy extends AsyncDisposable {
  readonly address: Address;
  /** Takes the next connection; the target gets so many bytes of it, and one more ends it. */
  next(bytes: number): Promise<Passed>;
}

async function cuttingProxy(target: Address): Promise<CuttingProxy> {
  const listener = await listen(ANY);
  return {
    address: listener.address,
    async next(bytes) {
      await using source = await listener.accept();
      await using onward = await connect(target);
      const back = pass(onward, source, Infinity);
      const there = await pass(source, onward, bytes);
      source.close();
      onward.close();
      await back;
      return there;
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  };
}

/** Passes bytes on, up to the end of either side or to the one that is too many. */
async function pass(from: ByteChannel, to: ByteChannel, most: number): Promise<Passed> {
  const buffer = new Uint8Array(64 * 1024);
  let bytes = 0;
  try {
    for (;;) {
      const count = await from.read(buffer);
      if (count === null) break;
      const part = buffer.subarray(0, Math.min(count, most - bytes));
      await to.write(part);
      bytes += part.length;
      if (part.length < count) return { bytes, isCut: true };
    }
    await to.closeWrite();
  } catch { /* the other end has gone, which is how all of them end */ }
  return { bytes, isCut: false };
}

programTest(
  "a QEMU whose connection is cut anywhere has failed and goes on, and the next attempt is whole",
  ["qemu-system-x86_64"],
  async () => {
    const count = soakCount(500, 12);
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, {
      hosts: [{ name: "vm1" }, { name: "vm2", ip: ["127.0.0.1"] }],
    });
    using objects = new ObjectRegistry({ engine: await chooseEngine() });
    await objects.add(`tls-creds-x509,id=s,dir=${pki.host("vm2")},endpoint=server`);
    const kept = `${temp.path}/kept`;
    Deno.mkdirSync(kept);
    await using target = await start({
      objects,
      parameters: { ...defaultParameters(), "tls-creds": "s" },
      file: `${kept}/guest`,
      serve: true,
    });
    await using proxy = await cuttingProxy(target.address);
    await using qemu = await startQemu();
    await qemuTls(qemu, pki.host("vm1"), "client");
    await qemu.qmp.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "return-path", state: true }],
    });
    const uri = formatTransport(proxy.address);
    const attempt = async (bytes: number) => {
      await runState(qemu.qmp, "running");
      const passing = proxy.next(bytes);
      await qemu.qmp.execute("migrate", { uri });
      const passed = await passing;
      return { passed, end: await migrationEnd(qemu.qmp) };
    };
    let completed = 0;
    /** A whole one, whose file is read and taken away, and from which the guest comes back. */
    const whole = async ({ passed, end }: Awaited<ReturnType<typeof attempt>>) => {
      assertEquals([passed.isCut, end.status], [false, "completed"], end["error-desc"]);
      const { reception } = await target.event("completed", ++completed);
      assertEquals(reception.summary.validation?.kind, "sections");
      assertEquals(files(kept), ["guest"]);
      assertEquals(Deno.statSync(`${kept}/guest`).size, reception.summary.bytes);
      Deno.removeSync(`${kept}/guest`);
      await runState(qemu.qmp, "postmigrate");
      await qemu.qmp.execute("cont");
      return passed.bytes;
    };
    /** Waits until the target has given up so many; within the handshake it refuses, later it fails. */
    const targetGaveUp = async (times: number) => {
      for (;;) {
        const given = (kind: "failed" | "refused") =>
          target.events.filter((event) => event.kind === kind).length;
        if (given("failed") + given("refused") >= times) return;
        await Promise.race([
          target.event("failed", given("failed") + 1),
          target.event("refused", given("refused") + 1),
        ]);
      }
    };
    // Until its firmware has come to an end, the guest has more to say each time or less.
    let length = 0;
    for (let i = 0, before = -1; i < 8 && length !== before; i++) {
      before = length;
      length = await whole(await attempt(Infinity));
    }

    // Within the handshake, about its end, and where only the acknowledgement is missing.
    const offsets = [0, 1, 300, 2_000, 5_000, length - 2_000, length - 1];
    while (offsets.length < count) offsets.push(Math.floor(Math.random() * length));
    let cut = 0;
    for (const offset of offsets) {
      const attempted = await attempt(offset);
      if (!attempted.passed.isCut) {
        // The guest has written less this time.
        assert(attempted.passed.bytes <= offset);
        await whole(attempted);
        continue;
      }
      cut++;
      const what = `cut after ${offset} of ${length} bytes`;
      assertEquals(attempted.passed.bytes, offset);
      assertEquals(attempted.end.status, "failed", what);
      await runState(qemu.qmp, "running");
      await targetGaveUp(cut);
      assertEquals(files(kept), [], what);
    }
    assert(cut >= offsets.length / 2, `${cut} of ${offsets.length} were cut`);
    await whole(await attempt(Infinity));
    soakRow("connections of a QEMU that were cut", cut, "each failed and ran on, nothing kept");
  },
);

programTest(
  "runTarget() refuses a QEMU's stream that is cut at any of its records, and takes the whole",
  ["qemu-system-x86_64"],
  async () => {
    using temp = temporaryDirectory();
    const recorded = `${temp.path}/recorded`;
    {
      await using qemu = await startQemu();
      await qemu.qmp.execute("migrate", { uri: `exec:cat >${recorded}` });
      assertEquals((await migrationEnd(qemu.qmp)).status, "completed");
    }
    const stream = Deno.readFileSync(recorded);
    const cuts = new Set<number>();
    const reader = readStream({ onBorder: (_, offset) => cuts.add(offset) });
    reader.push(stream);
    const { devices, vmdescription } = reader.end();
    for (const { offset } of devices) cuts.add(offset);
    // The end marker, the description's type, its length, its first byte, all but its last.
    const tail = stream.length - vmdescription!;
    for (const at of [tail - 6, tail - 5, tail - 4, tail, stream.length - 1]) cuts.add(at);
    assert(cuts.size > devices.length + 5 && devices.length > 20, `${cuts.size} cuts`);
    const kept = `${temp.path}/kept`;
    Deno.mkdirSync(kept);
    await using target = await start({ file: `${kept}/guest`, serve: true });
    let failed = 0;
    for (const cut of cuts) {
      await using channel = await connect(target.address);
      await channel.write(stream.subarray(0, cut));
      await channel.closeWrite();
      const { error } = await target.event("failed", ++failed);
      assertInstanceOf(error, MigrationError);
      assertEquals([error.code, error.facts.offset], ["STREAM_TRUNCATED", cut]);
      assertEquals(files(kept), []);
    }
    await using channel = await connect(target.address);
    await channel.write(stream);
    await channel.closeWrite();
    await target.event("completed");
    assertEquals(Deno.readFileSync(`${kept}/guest`), stream);
  },
);
