/** TLS roles crosswise to TCP roles: who is refused, by whom, and who is served after that. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { CredsError } from "../../creds/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { loopbackTest } from "../support/loopback.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { dial, type Directories, directories, objects, serve, talk } from "./devices.ts";

const VERSIONS = ["1.2", "1.3"] as const;
const only = (version: string) => `,priority=NORMAL:-VERS-ALL:+VERS-TLS${version}`;

/** Whom a listening TLS client does not talk to: what dials, the name that is expected, the words. */
const CLIENT_REFUSES: readonly [keyof Directories, string, string][] = [
  ["localhost", "vm9.example", "Certificate does not match the hostname vm9.example"],
  ["elsewhere", "localhost", "Certificate does not match the hostname localhost"],
  ["foreign", "localhost", "The certificate hasn't got a known issuer"],
  ["expired", "localhost", "The certificate is not trusted"],
];

/** Whom a dialling TLS server does not talk to. */
const SERVER_REFUSES: readonly [keyof Directories, RegExp][] = [
  ["bare", /^Verify failed: No certificate was found\.$/],
  // A client that looks at the list of accepted CAs keeps its foreign certificate back.
  [
    "smuggler",
    /^(Verify failed: No certificate was found\.|The certificate hasn't got a known issuer)$/,
  ],
  ["expired", /^The certificate is not trusted$/],
  ["revoked", /^The certificate has been revoked$/],
];

for (const { name: engine } of await enginesHere()) {
  loopbackTest(
    `a listening TLS client refuses servers by cause and serves the next (${engine})`,
    [],
    async (host) => {
      using folder = temporaryDirectory();
      const dirs = await directories(folder.path);
      for (const version of VERSIONS) {
        using ours = await objects(engine, dirs.localhost, "client", only(version));
        using good = await objects(engine, dirs.localhost, "server");
        for (const expected of new Set(CLIENT_REFUSES.map(([, hostname]) => hostname))) {
          await using server = await serve(ours, { host, more: `,tls-hostname=${expected}` });
          let count = 0;
          for (const [dir, hostname, message] of CLIENT_REFUSES) {
            if (hostname !== expected) continue;
            const what = `${dir} for ${expected} with TLS ${version}`;
            using theirs = await objects(engine, dirs[dir], "server");
            const ending = dial(theirs, server.address, { host });
            const said = await Promise.allSettled([ending]);
            // In TLS 1.3 a server has said its last word before it is refused: it may see an end.
            if (said[0].status === "rejected") assert(said[0].reason instanceof VirtcredsError);
            const error = await server.refusal(++count);
            assertEquals(error.message, message, what);
            assert(error.hints.length > 0, what);
          }
          if (expected !== "localhost") continue;
          const channel = await talk(good, server, { host });
          assertEquals(channel.facts?.version, `TLS${version}`);
          assertEquals(server.names.length, 1);
        }
      }
    },
  );

  loopbackTest(
    `a dialling TLS server refuses clients by cause (${engine})`,
    [],
    async (host) => {
      using folder = temporaryDirectory();
      const dirs = await directories(folder.path);
      for (const version of VERSIONS) {
        using ours = await objects(engine, dirs.localhost, "server", only(version));
        for (const [dir, message] of SERVER_REFUSES) {
          const what = `${dir} with TLS ${version}`;
          using theirs = await objects(engine, dirs[dir], "client");
          await using server = await serve(theirs, { host, more: ",tls-hostname=localhost" });
          const error = await assertRejects(() => dial(ours, server.address, { host }));
          assert(error instanceof VirtcredsError, what);
          assertMatch(error.message, message, what);
          assert(error.hints.length > 0, what);
        }
        using good = await objects(engine, dirs.elsewhere, "client");
        await using server = await serve(good, { host, more: ",tls-hostname=localhost" });
        const channel = await talk(ours, server, { host });
        assertEquals(channel.facts?.version, `TLS${version}`);
      }
    },
  );
}

Deno.test("a TLS server without a certificate is refused before it dials", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const error = await assertRejects(() => objects(undefined, dirs.bare, "server"), CredsError);
  assertMatch(error.message, /server-cert\.pem/);
});
