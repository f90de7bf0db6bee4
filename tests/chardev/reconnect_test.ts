import { assert, assertEquals, assertMatch } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import {
  type ChardevServer,
  describeChannel,
  parseSocketChardev,
  planTls,
  runClient,
  serveChardev,
  type SocketChardev,
} from "../../chardev/mod.ts";
import type { ObjectRegistry } from "../../creds/mod.ts";
import { readExactly } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { directories, objects } from "./devices.ts";
import { testLocal } from "./local.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

for (const { name: engine } of await enginesHere()) {
  Deno.test(`a TLS client with reconnect comes back to its server, through those that it or they refuse (${engine})`, async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using good = await objects(engine, dirs.localhost, "server");
    await good.add("authz-simple,id=az,identity=CN=nobody");
    using foreign = await objects(engine, dirs.foreign, "server");
    using theirs = await objects(engine, dirs.elsewhere, "client");
    // No option makes it, but unlike a port a path is free for the next server for sure.
    const device = (more: string): SocketChardev => ({
      ...parseSocketChardev(`socket,id=s0,path=${folder.path}/s${more}`),
      tlsCreds: "tls0",
    });
    const listen = (ours: ObjectRegistry, more = {}): Promise<ChardevServer> => {
      const chardev = { ...device(",server=on"), ...more };
      return serveChardev(chardev, { tls: planTls(chardev, ours)! });
    };
    const local = testLocal();
    const stop = new AbortController();
    const names: string[] = [];
    const failures: VirtcredsError[] = [];
    const failed = async (says: RegExp, times: number) => {
      const deadline = Date.now() + 20_000;
      const from = failures.length;
      const those = () => failures.slice(from).filter(({ message }) => says.test(message));
      while (those().length < times) {
        if (Date.now() > deadline) throw new Error(`not ${says}, only ${failures.slice(from)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return those()[0]!;
    };
    const running = runClient(
      { ...device(",reconnect-ms=20"), tlsHostname: "localhost" },
      {
        objects: theirs,
        local,
        signal: stop.signal,
        events: {
          connected: (channel) => names.push(describeChannel(channel)),
          left() {},
          retrying(error, wait) {
            assert(error instanceof VirtcredsError && wait >= 10);
            failures.push(error);
          },
          logFailed() {},
        },
      },
    ).catch((error) => {
      if (!stop.signal.aborted) throw error;
    });
    /** Serves the client once; both hear each other. */
    const serveOnce = async (word: string) => {
      await using server = await listen(good);
      await using channel = await server.accept();
      await channel.write(new TextEncoder().encode(word));
      await local.until(word);
      local.type(word);
      assertEquals(text(await readExactly(channel, word.length)), word);
    };

    // Nobody is there yet, nor after it was served.
    await failed(/^Failed to connect to /, 1);
    await serveOnce("one");
    await failed(/^Failed to connect to /, 1);
    await serveOnce("two");
    {
      await using _ = await listen(foreign);
      const error = await failed(/^The certificate hasn't got a known issuer$/, 2);
      assert(error.hints.length > 0);
    }
    await serveOnce("three");
    {
      await using _ = await listen(good, { tlsAuthz: "az" });
      await failed(/^the peer ended the session: |^TLS handshake failed: /, 2);
    }
    await serveOnce("four");
    stop.abort();
    await running;
    assertEquals(local.shown(), "onetwothreefour");
    for (const name of names) assertMatch(name, /over TLS1\.3 .*CN=localhost$/);
  });
}
