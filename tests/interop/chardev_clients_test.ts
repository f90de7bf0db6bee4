import { assertEquals, assertMatch } from "@std/assert";
import { type Directories, directories, objects, serve } from "../chardev/devices.ts";
import { start } from "../chardev/process.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** How each program is told where to go, whom to trust and who it is. */
const CLIENTS: Readonly<
  Record<string, (dirs: Directories, port: number, identity: boolean) => readonly string[]>
> = {
  "gnutls-cli": ({ localhost: d }, port, identity) => [
    ...["--x509cafile", `${d}/ca-cert.pem`, "-p", String(port), "localhost"],
    ...identity
      ? ["--x509certfile", `${d}/client-cert.pem`, "--x509keyfile", `${d}/client-key.pem`]
      : [],
  ],
  "openssl": ({ localhost: d }, port, identity) => [
    ...["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"],
    ...["-CAfile", `${d}/ca-cert.pem`, "-connect", `127.0.0.1:${port}`],
    ...identity ? ["-cert", `${d}/client-cert.pem`, "-key", `${d}/client-key.pem`] : [],
  ],
  "socat": ({ localhost: d }, port, identity) => [
    "-",
    `OPENSSL:127.0.0.1:${port},cafile=${d}/ca-cert.pem,commonname=localhost` +
    (identity ? `,cert=${d}/client-cert.pem,key=${d}/client-key.pem` : ""),
  ],
};

for (const [program, args] of Object.entries(CLIENTS)) {
  programTest(`a chardev server serves ${program} with a certificate and none without`, [
    program,
  ], async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    using ours = await objects(undefined, dirs.localhost, "server");
    await using server = await serve(ours);
    const { port } = server.address;
    for (let turn = 1; turn <= 2; turn++) {
      await using stranger = start(program, args(dirs, port, false));
      const error = await server.refusal(turn);
      assertEquals(error.message, "Verify failed: No certificate was found.");
      await stranger.exit;

      await using client = start(program, args(dirs, port, true));
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
