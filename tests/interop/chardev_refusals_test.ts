/** Who is refused by whom, with a QEMU on either side: it says nothing, a chardev says why. */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import {
  converse,
  dial,
  type Directories,
  directories,
  objects,
  serve,
} from "../chardev/devices.ts";
import { PEERS } from "../chardev/peers.ts";
import { start, startProgram } from "../chardev/process.ts";
import { enginesHere } from "../support/engines.ts";
import { loopbackTest } from "../support/loopback.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { type SerialQemu, startSerialQemu } from "./chardev_guest.ts";

const VERSIONS = ["1.2", "1.3"] as const;

/** The one name that servers let in. */
const ADMITTED = "O=virtcreds CA,,CN=localhost";

/** Two sides of which one refuses the other, and what a chardev says that does. */
interface RefusalRow {
  readonly server: keyof Directories;
  readonly client: keyof Directories;
  /** `HOST` stands for what the client dialled. */
  readonly says: string;
  readonly hint: RegExp;
}

/** A client looks at no CRL: a revoked server is not among those that it refuses, as in QEMU. */
const CLIENT_REFUSES: readonly RefusalRow[] = [
  {
    server: "elsewhere",
    client: "localhost",
    says: "Certificate does not match the hostname HOST",
    hint: /the peer's certificate is for elsewhere\.example/,
  },
  {
    server: "localhost",
    client: "sceptic",
    says: "The certificate hasn't got a known issuer",
    hint: /its issuer CN=virtcreds CA is not there/,
  },
  {
    server: "expired",
    client: "localhost",
    says: "The certificate is not trusted",
    hint: /CN=expired\.example expired on /,
  },
];

const SERVER_REFUSES: readonly RefusalRow[] = [
  {
    server: "localhost",
    client: "bare",
    says: "Verify failed: No certificate was found.",
    hint: /the client has no client-cert\.pem/,
  },
  {
    // GnuTLS keeps a certificate back that no authority of the server issued.
    server: "localhost",
    client: "smuggler",
    says: "Verify failed: No certificate was found.",
    hint: /or none by an authority of /,
  },
  {
    server: "localhost",
    client: "expired",
    says: "The certificate is not trusted",
    hint: /CN=expired\.example expired on /,
  },
  {
    server: "localhost",
    client: "revoked",
    says: "The certificate has been revoked",
    hint: /CN=revoked\.example was revoked on /,
  },
  {
    server: "localhost",
    client: "elsewhere",
    says: "TLS x509 authz check for O=virtcreds CA,CN=elsewhere.example is denied",
    hint: /to let it in: --object 'authz-simple,id=az,identity=O=virtcreds CA,,CN=elsewhere\./,
  },
];

/** What a chardev says whom a QEMU refuses. */
const SILENT = {
  says: /^the peer ended the session: /,
  hint: /it may have refused this side's certificate: .* QEMU says nothing/,
};

const only = (version: string) => `priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`;

/** A running QEMU with all credentials: by name for a server, by name and version for a client. */
async function startWithCredentials(dirs: Directories): Promise<SerialQemu> {
  const creds = new Map<string, string>();
  for (const { server, client } of [...CLIENT_REFUSES, ...SERVER_REFUSES]) {
    creds.set(server, `dir=${dirs[server]},endpoint=server`);
    for (const version of VERSIONS) {
      creds.set(`${client}-${version}`, `dir=${dirs[client]},endpoint=client,${only(version)}`);
    }
  }
  const serial = await startSerialQemu("host=127.0.0.1,port=0,server=on,wait=off", [
    ...[...creds].map(([id, more]) => `tls-creds-x509,id=${id},sanity-check=off,${more}`),
    `authz-simple,id=az,identity=${ADMITTED}`,
  ]);
  await serial.run();
  return serial;
}

function check(error: VirtcredsError, says: string | RegExp, hint: RegExp, what: string): void {
  if (typeof says === "string") assertEquals(error.message, says, what);
  else assertMatch(error.message, says, what);
  assertMatch(error.hints.join("\n"), hint, what);
}

loopbackTest(
  "a chardev client and a QEMU's serial port refuse each other in TLS 1.2 and 1.3 and go on",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using serial = await startWithCredentials(dirs);
    using good = await objects(undefined, dirs.localhost, "client");
    const listening = async (creds?: string) => {
      const tls = creds === undefined ? {} : { "tls-creds": creds, "tls-authz": "az" };
      await serial.change(host, 0, { server: true, wait: false, ...tls });
      return await serial.address();
    };
    for (const row of [...CLIENT_REFUSES, ...SERVER_REFUSES]) {
      const { server, client } = row;
      const address = await listening(server);
      const { says, hint } = CLIENT_REFUSES.includes(row) ? row : SILENT;
      for (const version of VERSIONS) {
        using ours = await objects(undefined, dirs[client], "client", `,${only(version)}`);
        const error = await assertRejects(() => dial(ours, address, { host }), VirtcredsError);
        const said = typeof says === "string" ? says.replace("HOST", host) : says;
        check(error, said, hint, `${client} to ${server} with TLS ${version}`);
      }
      if (server === "localhost") await converse(good, address, { host, say: "x", hear: "x" });
    }
    const plain = await listening();
    const error = await assertRejects(
      () => dial(good, plain, { host, handshakeTimeout: 500 }),
      VirtcredsError,
    );
    check(error, /^TLS handshake failed: /, /tls0 makes .* the peer must speak TLS/, "plain");
    assertEquals(serial.qemu.stderr(), "");
  },
);

loopbackTest(
  "a chardev server and a QEMU that dials refuse each other in TLS 1.2 and 1.3 and go on",
  ["qemu-system-x86_64"],
  async (host) => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    await using program = startProgram("chardev/server.ts", [
      ...["--object", `tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server`],
      ...["--object", `authz-simple,id=az,identity=${ADMITTED}`],
      ...["--chardev", `socket,id=s0,host=${host},port=0,server=on,tls-creds=tls0,tls-authz=az`],
      "--serve",
    ]);
    await using serial = await startWithCredentials(dirs);
    const call = (port: number, creds?: string) =>
      serial.change(host, port, {
        server: false,
        ...creds === undefined ? {} : { "tls-creds": creds },
      });
    const [, port] = await program.untilErr(/^listening on tcp:.*:(\d+)$/m);
    let count = 0;
    for (const { client, says, hint } of SERVER_REFUSES) {
      for (const version of VERSIONS) {
        await call(Number(port), `${client}-${version}`);
        // Each refusal is one line and its hints.
        const [, line, hints] = await program.untilErr(
          new RegExp(`(?:^error: \\S+:\\d+: (.*)\\n((?:hint: .*\\n)+)[^]*?){${++count}}`, "m"),
        );
        const what = `${client} with TLS ${version}`;
        assertEquals(line, says, what);
        assertMatch(hints!, hint, what);
      }
    }
    await call(Number(port), "localhost-1.2");
    await program.untilErr(/^connected: .* over TLS1\.2 .*CN=localhost$/m);
    await program.type("x");
    await program.untilOut("x");

    for (const { server, client } of CLIENT_REFUSES) {
      using ours = await objects(undefined, dirs[server], "server");
      await using served = await serve(ours, { host });
      for (const [turn, version] of VERSIONS.entries()) {
        await call(served.address.port, `${client}-${version}`);
        const what = `${client} to ${server} with TLS ${version}`;
        check(await served.refusal(turn + 1), SILENT.says, SILENT.hint, what);
      }
    }
    using good = await objects(undefined, dirs.localhost, "server");
    await using served = await serve(good, { host, handshakeTimeout: 500 });
    await call(served.address.port);
    const error = await served.refusal(1);
    check(error, /^TLS handshake failed: /, /tls0 makes .* the peer must speak TLS/, "plain");
    await call(served.address.port, "localhost-1.3");
    served.local.type("y");
    await served.local.until("y");
    assertEquals(serial.qemu.stderr(), "");
  },
);

for (const { name: engine } of await enginesHere()) {
  loopbackTest(
    `a chardev server refuses a foreign certificate that openssl shows it (${engine})`,
    ["openssl"],
    async (host) => {
      using folder = temporaryDirectory();
      const dirs = await directories(folder.path);
      using ours = await objects(engine, dirs.localhost, "server");
      await using served = await serve(ours, { host });
      const { port } = served.address;
      // OpenSSL keeps no certificate back, whatever the list of authorities says.
      const smuggler = { ...dirs, localhost: dirs.smuggler };
      for (const [turn, version] of VERSIONS.entries()) {
        await using peer = start("openssl", PEERS.openssl!(smuggler, { port, host, version }));
        const error = await served.refusal(turn + 1);
        check(
          error,
          "The certificate hasn't got a known issuer",
          /issuer CN=other CA is not/,
          `openssl with TLS ${version}`,
        );
        await peer.end();
        await peer.exit;
      }
      await using peer = start("openssl", PEERS.openssl!(dirs, { port, host }));
      await peer.type("x");
      await served.local.until("x");
    },
  );
}
