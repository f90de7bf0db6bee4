import { assertEquals, assertMatch } from "@std/assert";
import type { TcpAddress } from "../../channel/mod.ts";
import { directories, objects, serve, talk } from "../chardev/devices.ts";
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
  "a chardev server refuses real QEMUs by cause and serves the next",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    await using server = await serve(ours);
    const cases: [string, RegExp][] = [
      [dirs.bare, /^Verify failed: No certificate was found\.$/],
      // GnuTLS keeps a certificate back that no CA of the server's list has signed, if it gets one.
      [
        dirs.smuggler,
        /^(Verify failed: No certificate was found\.|The certificate hasn't got a known issuer)$/,
      ],
      [dirs.expired, /^The certificate is not trusted$/],
    ];
    let count = 0;
    for (const [dir, message] of cases) {
      await using _ = await startDialling(server.address, dir);
      const error = await server.refusal(++count);
      assertMatch(error.message, message);
    }
    {
      await using plain = await startDialling(server.address, dirs.elsewhere, { plain: true });
      await plain.run();
      const error = await server.refusal(++count);
      assertMatch(error.message, /^TLS handshake failed: /);
      assertMatch(error.hints.join(), /must speak TLS, with credentials of endpoint=client/);
    }
    await using serial = await startDialling(server.address, dirs.elsewhere);
    await serial.run();
    await server.local.until(BANNER);
  },
);

programTest(
  "a chardev server goes on when real QEMUs refuse it, which they do without a word",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    for (
      const [server, qemu] of [
        [dirs.elsewhere, dirs.localhost],
        [dirs.expired, dirs.localhost],
        [dirs.localhost, dirs.sceptic],
      ] as const
    ) {
      using ours = await objects(undefined, server, "server");
      await using served = await serve(ours);
      await using refusing = await startDialling(served.address, qemu);
      const error = await served.refusal(1);
      assertMatch(error.message, /^the peer ended the session: /);
      assertMatch(error.hints.join(), /it may have refused this side's certificate/);
      assertEquals(refusing.qemu.stderr(), "");
      // A client that looks at less than the first does.
      using trusting = await objects(undefined, dirs.localhost, "client", ",verify-peer=off");
      await talk(trusting, served);
    }
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
    await using _ = await startDialling(server.address, dirs.localhost);
    const error = await server.refusal(1);
    assertMatch(error.message, /^TLS handshake failed: /);
    assertMatch(error.hints.join(), /tls0 makes this side the TLS client.*endpoint=server/);
  },
);
