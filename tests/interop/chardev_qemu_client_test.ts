import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { TcpAddress } from "../../channel/mod.ts";
import { directories, objects, serve } from "../chardev/devices.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { BANNER, type SerialQemu, startSerialQemu } from "./chardev_guest.ts";

function clientObject(dir: string): string {
  return `tls-creds-x509,id=tls0,dir=${dir},endpoint=client,sanity-check=off`;
}

/** A QEMU that dials; `host` is the name that it verifies. */
function startDialling(
  address: TcpAddress,
  dir: string,
  options: { host?: string; plain?: boolean; more?: string } = {},
): Promise<SerialQemu> {
  const { host = "localhost", plain = false, more = "" } = options;
  const tls = plain ? "" : ",tls-creds=tls0";
  // localhost may be ::1 first, where the server is not.
  return startSerialQemu(`host=${host},port=${address.port},ipv6=off${tls}${more}`, [
    clientObject(dir),
  ]);
}

programTest(
  "a chardev server serves the serial port of a real QEMU that dials in",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    await using server = await serve(ours);
    await using serial = await startDialling(server.address, dirs.elsewhere);
    await serial.run();
    await server.local.until(BANNER);
    server.local.type("hello");
    await server.local.until("hello");
    const pasted = Array.from({ length: 40 }, (_, i) => `line ${i} of a pasted text`).join("\r\n");
    server.local.type(pasted);
    await server.local.until(pasted);
    assertEquals(server.local.shown(), `${BANNER}hello${pasted}`);
    assertMatch(server.names[0]!, /over TLS1\.3 TLS_\w+, O=virtcreds CA,CN=elsewhere\.example$/);
    assertEquals(server.refused, []);
  },
);

programTest(
  "a chardev server that is the TLS client says so when a real QEMU dials in as one",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "client");
    await using server = await serve(ours, { more: ",tls-hostname=localhost" });
    await using serial = await startDialling(server.address, dirs.localhost);
    const error = await server.refusal(1);
    assertMatch(error.message, /^TLS handshake failed: /);
    // QEMU's words, which it says of the same device of its own.
    const words = "Expected TLS credentials for a server endpoint";
    const addr = { type: "inet", data: { host: "127.0.0.1", port: "0" } };
    const backend = { type: "socket", data: { addr, server: true, "tls-creds": "tls0" } };
    await assertRejects(
      () => serial.qemu.qmp.execute("chardev-add", { id: "c1", backend }),
      Error,
      words,
    );
    assertMatch(
      error.hints.join("\n"),
      new RegExp(
        `^tls0 makes this side the TLS client.*endpoint=server\n` +
          `a QEMU that dials is the TLS client itself: .*'${words}'\\)$`,
      ),
    );
  },
);
