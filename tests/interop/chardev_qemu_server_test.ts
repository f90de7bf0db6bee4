import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { parseSocketChardev, runClient } from "../../chardev/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine, EngineError } from "../../engine/mod.ts";
import { converse, dial, directories, objects } from "../chardev/devices.ts";
import { testLocal } from "../chardev/local.ts";
import { PEERS } from "../chardev/peers.ts";
import { start } from "../chardev/process.ts";
import { readToEnd } from "../support/channels.ts";
import { loopbackTest } from "../support/loopback.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, startSerialQemu } from "./chardev_guest.ts";

const SERVER = "host=127.0.0.1,port=0,server=on,wait=off,tls-creds=tls0";

function serverObject(dir: string): string {
  return `tls-creds-x509,id=tls0,dir=${dir},endpoint=server,sanity-check=off`;
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
  },
);

programTest(
  "a QEMU's TLS serial port outlives a second TLS server and a plain client",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startSerialQemu(SERVER, [serverObject(dirs.localhost)]);
    await serial.run();
    const address = await serial.address();
    using good = await objects(undefined, dirs.elsewhere, "client");

    // Two TLS servers wait for each other.
    using server = await objects(undefined, dirs.localhost, "server");
    const role = await assertRejects(
      () => dial(server, address, { handshakeTimeout: 500 }),
      EngineError,
    );
    // QEMU's words, which it says of the same device of its own.
    const words = "Expected TLS credentials for a client endpoint";
    const addr = { type: "inet", data: { host: address.host, port: String(address.port) } };
    const backend = { type: "socket", data: { addr, server: false, "tls-creds": "tls0" } };
    await assertRejects(
      () => serial.qemu.qmp.execute("chardev-add", { id: "c1", backend }),
      Error,
      words,
    );
    assertMatch(
      role.hints.join("\n"),
      new RegExp(`endpoint=client\na QEMU that listens is the TLS server itself: .*'${words}'\\)$`),
    );
    await converse(good, address, { say: "one", hear: "one" });

    // QEMU answers plain text with an alert, which is no text for a terminal.
    const plain = await connect(address);
    await plain.write(new TextEncoder().encode("hello\r\n"));
    await readToEnd(plain).catch(() => {});
    plain.close();
    await converse(good, address, { say: "two", hear: "two" });
  },
);

loopbackTest(
  "ours, gnutls-cli, openssl and socat type into a QEMU's serial port over mutual TLS 1.2 and 1.3",
  ["qemu-system-x86_64", ...Object.keys(PEERS)],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startSerialQemu(SERVER.replace("127.0.0.1", host), [
      serverObject(dirs.localhost),
    ]);
    await serial.run();
    const address = await serial.address();
    assertEquals(address.host, host);
    for (const version of ["1.2", "1.3"] as const) {
      using ours = await objects(
        undefined,
        dirs.localhost,
        "client",
        `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`,
      );
      const word = `pasted with ${version}`;
      const channel = await converse(ours, address, { host, say: word, hear: word });
      assertEquals([channel.facts?.version, channel.verified], [`TLS${version}`, true]);
      for (const [program, args] of Object.entries(PEERS)) {
        await using peer = start(program, args(dirs, { port: address.port, host, version }));
        if (program === "gnutls-cli") await peer.untilOut("Client Mode:");
        // Each key waits for its echo: it has a record of its own, which QEMU before 10.0 needs.
        for (let keys = 1; keys <= 3; keys++) {
          await peer.type("~#|"[keys - 1]!);
          await peer.untilOut("~#|".slice(0, keys));
        }
      }
    }
    assertEquals(serial.qemu.stderr(), "");
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
