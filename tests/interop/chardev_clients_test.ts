import { assertEquals, assertMatch } from "@std/assert";
import { directories, objects, serve } from "../chardev/devices.ts";
import { PEERS } from "../chardev/peers.ts";
import { start } from "../chardev/process.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

for (const [program, args] of Object.entries(PEERS)) {
  programTest(`a chardev server serves ${program} with a certificate and none without`, [
    program,
  ], async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    await using server = await serve(ours);
    const { port } = server.address;
    for (let turn = 1; turn <= 2; turn++) {
      await using stranger = start(program, args(dirs, { port, identity: false }));
      const error = await server.refusal(turn);
      assertEquals(error.message, "Verify failed: No certificate was found.");
      await stranger.exit;

      await using client = start(program, args(dirs, { port }));
      await client.type(`from ${program} ${turn}\n`);
      await server.local.until(`from ${program} ${turn}\n`);
      server.local.type(`to ${program} ${turn}\n`);
      await client.untilOut(`to ${program} ${turn}\n`);
      // gnutls-cli and socat say goodbye; openssl s_client -quiet ignores the end of its input.
      if (program === "openssl") client.signal("SIGTERM");
      else await client.end();
      await client.exit;
      await server.gone(turn);
      assertMatch(server.names[turn - 1]!, /TLS1\.3 .*, O=virtcreds CA,CN=localhost$/);
    }
  });
}
