/** Handshakes a second of who waits for a migration: connect, mutual TLS 1.3, goodbye, hang up. */

import { connect, parseAddress } from "../channel/mod.ts";
import { chooseEngine, type Engine, type TlsCredentials } from "../engine/mod.ts";
import { freePort, start, untilOpen } from "./_chardev_tunnels.ts";
import { type Bench, ourTarget } from "./_migration_peers.ts";
import { compare, printTable } from "./measure.ts";

const COUNT = 400;
const AT_ONCE = 4;

/** Measures ours beside GnuTLS's own server, with the same client. */
export async function benchShakes(bench: Bench, rounds: number): Promise<void> {
  const engine = await chooseEngine("gnutls");
  const { source, target } = bench;
  const pem = (name: string) => Deno.readFileSync(`${source}/${name}.pem`);
  using credentials = engine.credentials({
    kind: "x509",
    endpoint: "client",
    trust: pem("ca-cert"),
    identities: [{ certificate: pem("client-cert"), key: pem("client-key") }],
  });
  await using ours = await ourTarget(bench, 1, { more: [] });
  const port = freePort();
  await using _ = start("gnutls-serv", [
    ...["--quiet", "--port", `${port}`, "--require-client-cert", "--verify-client-cert"],
    ...["--x509cafile", `${target}/ca-cert.pem`, "--x509certfile", `${target}/server-cert.pem`],
    ...["--x509keyfile", `${target}/server-key.pem`],
  ]);
  await untilOpen(port);
  const contestant = (name: string, uri: string) => ({
    name,
    run: () => shakes(engine, credentials, uri),
  });
  const results = await compare([
    contestant("our target", ours.uri),
    contestant("gnutls-serv", `tcp:127.0.0.1:${port}`),
  ], rounds);
  printTable(`mutual TLS 1.3 handshakes, ${AT_ONCE} at once`, "1/s", "more", results);
  const each = ours.cost().cpu / (COUNT * (rounds + 1)) * 1000;
  console.log(`  our target: ${each.toFixed(1)} ms of CPU a handshake, its start included`);
}

async function shakes(
  engine: Engine,
  credentials: TlsCredentials,
  uri: string,
): Promise<number> {
  const address = parseAddress(uri);
  let left = COUNT;
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) {
      const session = await engine.open(await connect(address), { credentials });
      await session.closeWrite();
      // The other side has the whole handshake when it ends too.
      while (await session.read(new Uint8Array(1024)) !== null);
      session.close();
    }
  }));
  return COUNT / (performance.now() - began) * 1000;
}
