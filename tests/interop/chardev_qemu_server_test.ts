import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { connect, type TcpAddress } from "../../channel/mod.ts";
import { parseSocketChardev, runClient } from "../../chardev/mod.ts";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine, EngineError } from "../../engine/mod.ts";
import { converse, dial, directories, objects } from "../chardev/devices.ts";
import { testLocal } from "../chardev/local.ts";
import { readToEnd } from "../support/channels.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const SERVER = "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0";

function serverObject(dir: string): string {
  return `tls-creds-x509,id=tls0,dir=${dir},endpoint=server,sanity-check=off`;
}

/** Connects to a serial port, sees that every typed word comes back, leaves. */
async function echo(registry: ObjectRegistry, address: TcpAddress): Promise<void> {
  const word = `hello-${crypto.randomUUID().slice(0, 8)}`;
  await converse(registry, address, { say: word, hear: word });
}

programTest(
  "a chardev client talks to the TLS serial port of a real QEMU",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startSerialQemu(SERVER, [serverObject(dirs.localhost)]);
    using ours = await objects(undefined, dirs.elsewhere, "client");
    const address = await serial.address();
    const local = testLocal();
    const running = dial(ours, address, { local });
    await serial.connected();
    await serial.run();
    await local.until(BANNER);
    // In one record QEMU 7.2 would give the guest the first byte alone.
    local.type("hello");
    await local.until("hello");
    const pasted = Array.from({ length: 40 }, (_, i) => `line ${i} of a pasted text`).join("\r\n");
    local.type(pasted);
    await local.until(pasted);
    local.end();
    const channel = await running;
    assertEquals(local.shown(), `${BANNER}hello${pasted}`);
    assertMatch(channel!.facts!.version, /^TLS1\.3$/);
    await echo(ours, address);
  },
);

programTest(
  "a chardev client and a real QEMU's TLS serial port refuse each other by cause, and go on",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startSerialQemu(SERVER, [serverObject(dirs.localhost)]);
    await serial.run();
    const address = await serial.address();
    using good = await objects(undefined, dirs.elsewhere, "client");
    await echo(good, address);

    const misnamed = await assertRejects(
      () => dial(good, address, { more: ",tls-hostname=vm9.example" }),
      CredsError,
    );
    assertEquals(misnamed.message, "Certificate does not match the hostname vm9.example");
    await echo(good, address);

    for (const dir of [dirs.bare, dirs.smuggler, dirs.expired]) {
      using bad = await objects(undefined, dir, "client");
      const error = await assertRejects(() => dial(bad, address), VirtcredsError, "", dir);
      assertMatch(error.message, /^the peer ended the session: /, dir);
      assert(error.hints.length > 0, error.message);
      await echo(good, address);
    }

    using foreign = await objects(undefined, dirs.foreign, "client");
    const unknown = await assertRejects(() => dial(foreign, address), CredsError);
    assertEquals(unknown.message, "The certificate hasn't got a known issuer");
    await echo(good, address);

    // Two TLS servers wait for each other.
    using server = await objects(undefined, dirs.localhost, "server");
    const role = await assertRejects(
      () => dial(server, address, { handshakeTimeout: 500 }),
      EngineError,
    );
    assertMatch(role.hints.join(), /endpoint=client/);
    await echo(good, address);

    // QEMU answers plain text with an alert, which is no text for a terminal.
    const plain = await connect(address);
    await plain.write(new TextEncoder().encode("hello\r\n"));
    await readToEnd(plain).catch(() => {});
    plain.close();
    await echo(good, address);
  },
);

programTest(
  "a chardev client refuses an expired QEMU, another host's QEMU and one without TLS",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.elsewhere, "client");
    for (
      const [dir, message] of [
        [dirs.expired, "The certificate is not trusted"],
        [dirs.elsewhere, "Certificate does not match the hostname localhost"],
        [dirs.foreign, "The certificate hasn't got a known issuer"],
      ] as const
    ) {
      await using serial = await startSerialQemu(SERVER, [serverObject(dir)]);
      const address = await serial.address();
      const error = await assertRejects(() => dial(ours, address), CredsError, "", message);
      assertEquals(error.message, message);
      assert(error.hints.length > 0, message);
    }
    await using serial = await startSerialQemu("host=127.0.0.1,port=0,server=on,wait=off");
    const address = await serial.address();
    const error = await assertRejects(
      () => dial(ours, address, { handshakeTimeout: 500 }),
      EngineError,
    );
    assertMatch(error.hints.join(), /must speak TLS/);
  },
);

programTest(
  "a chardev client without TLS talks to a plain serial port of a real QEMU",
  ["qemu-system-x86_64"],
  async () => {
    await using serial = await startSerialQemu("host=127.0.0.1,port=0,server=on,wait=off");
    const { host, port } = await serial.address();
    using none = new ObjectRegistry({ engine: await chooseEngine() });
    const local = testLocal();
    const running = runClient(parseSocketChardev(`socket,id=c0,host=${host},port=${port}`), {
      objects: none,
      local,
      events: { connected() {}, left() {}, retrying() {}, logFailed() {} },
    });
    await serial.connected();
    await serial.run();
    await local.until(BANNER);
    local.type("plain words");
    await local.until("plain words");
    local.end();
    await running;
  },
);
