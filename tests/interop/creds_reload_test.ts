/** A running service and gnutls-cli, before and after a renewal. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { start, startProgram } from "../chardev/process.ts";
import { makePki, type Pki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

function startServer(dir: string) {
  return startProgram("chardev/server.ts", [
    "--serve",
    "--reload",
    ...["--object", `tls-creds-x509,id=tls0,dir=${dir},endpoint=server`],
    ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0"],
  ]);
}

/** Dials with gnutls-cli, which says whose certificate it sees. */
function dial(dir: string, port: string) {
  return start("gnutls-cli", [
    ...["--x509certfile", `${dir}/client-cert.pem`, "--x509keyfile", `${dir}/client-key.pem`],
    ...["--x509cafile", `${dir}/ca-cert.pem`, "--print-cert", "-p", port, "localhost"],
  ]);
}

/** The serial number of the server's certificate, as gnutls-cli saw it. */
const serialSeen = (output: string) => /serial 0x([0-9a-f]+)/.exec(output)?.[1]?.replace(/^0+/, "");

async function renew(pki: Pki): Promise<void> {
  const engine = await chooseEngine();
  await issueHost({ dir: pki.dir, host: "localhost", ip: ["127.0.0.1"], engine });
}

programTest(
  "chardev/server.ts --reload serves a renewed certificate; sessions keep the old one",
  ["gnutls-cli"],
  async () => {
    using folder = temporaryDirectory();
    const pki = await makePki(`${folder.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
    });
    const dir = pki.host("localhost");
    await using server = startServer(dir);
    const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
    await using old = dial(dir, port!);
    await old.type("before\n");
    await server.untilOut("before\n");

    await renew(pki);
    await server.untilErr(/^reloaded tls0 from .*localhost: .*CN=localhost, expires \d{4}-/m);
    await server.type("still here\n");
    await old.untilOut("still here\n");
    await old.type("so am I\n");
    await server.untilOut("so am I\n");
    old.signal("SIGTERM");
    // It is killed, and says no goodbye.
    await server.untilErr(/ left without a TLS goodbye/);

    await using fresh = dial(dir, port!);
    await fresh.type("after\n");
    await server.untilOut("after\n");
    const [before, after] = [serialSeen(old.stdout()), serialSeen(fresh.stdout())];
    assert(before !== undefined && after !== undefined, fresh.stdout());
    assert(before !== after, `the certificate ${before} is served on`);
    server.signal("SIGTERM");
    assertEquals(await server.exit, 143);
    assertEquals(server.stderr().match(/^reloaded/gm)?.length, 1, server.stderr());
  },
);

programTest(
  "chardev/server.ts --reload keeps the old set over a damaged one, and SIGHUP asks by hand",
  ["gnutls-cli"],
  async () => {
    using folder = temporaryDirectory();
    const pki = await makePki(`${folder.path}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
    });
    const dir = pki.host("localhost");
    await using server = startServer(dir);
    const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
    server.signal("SIGHUP");
    await server.untilErr(/^tls0 is unchanged: /m);
    const cert = `${dir}/server-cert.pem`;
    const good = Deno.readTextFileSync(cert);
    Deno.writeTextFileSync(cert, "junk");
    const [text] = await server.untilErr(
      /^error: tls0 keeps its old credentials: Unable to import server .*\n(hint: .*\n)+/m,
    );
    assertMatch(text, /hint: deno task ca issue localhost/);
    await using client = dial(dir, port!);
    await client.type("served all the same\n");
    await server.untilOut("served all the same\n");
    Deno.writeTextFileSync(cert, good);
    // What ends an error is told without being asked for.
    await server.untilErr(/is unchanged: [\s\S]*is unchanged: /);
    server.signal("SIGTERM");
    assertEquals(await server.exit, 143);
  },
);
