import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { connect, MAX_UNPROVED } from "../../channel/mod.ts";
import {
  ChardevError,
  describeChannel,
  missingAuthz,
  parseSocketChardev,
  planTls,
} from "../../chardev/mod.ts";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine, EngineError } from "../../engine/mod.ts";
import { readToEnd } from "../support/channels.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { dial, type Directories, directories, objects, serve, talk } from "./devices.ts";

for (const { name: engine } of await enginesHere()) {
  const test = (name: string, fn: (dirs: Directories) => Promise<void>) =>
    Deno.test({
      name: `${name} (${engine})`,
      async fn() {
        using folder = temporaryDirectory();
        await fn(await directories(folder.path));
      },
    });

  test("a chardev server and client verify each other in either TLS role", async (dirs) => {
    for (const [serverEnd, clientEnd] of [["server", "client"], ["client", "server"]] as const) {
      using ours = await objects(engine, dirs.localhost, serverEnd);
      using theirs = await objects(engine, dirs.elsewhere, clientEnd);
      const name = serverEnd === "client" ? ",tls-hostname=elsewhere.example" : "";
      await using server = await serve(ours, { more: name });
      const channel = await talk(theirs, server);
      assertMatch(
        describeChannel(channel),
        /^127\.0\.0\.1:\d+ over TLS1\.3 TLS_\w+, .*CN=localhost/,
      );
      assertMatch(channel.local!, /^127\.0\.0\.1:\d+$/);
      assertMatch(server.names[0]!, /over TLS1\.3 TLS_\w+, .*CN=elsewhere\.example/);
      assertEquals(server.refused, []);
    }
  });

  test("a chardev says of a peer that it did not verify that it did not", async (dirs) => {
    using trusting = await objects(engine, dirs.localhost, "server", ",verify-peer=off");
    using stranger = await objects(engine, dirs.elsewhere, "client");
    await using server = await serve(trusting);
    const channel = await talk(stranger, server);
    assertMatch(describeChannel(channel), /CN=localhost$/);
    // A server that does not verify does not ask for a certificate either.
    assertMatch(server.names[0]!, /over TLS1\.3 TLS_\w+( \(not verified\)|, .*\(not verified\))$/);
    using careless = await objects(engine, dirs.bare, "client", ",verify-peer=off");
    using foreign = await objects(engine, dirs.foreign, "server", ",verify-peer=off");
    await using other = await serve(foreign);
    assertMatch(describeChannel(await talk(careless, other)), /CN=localhost \(not verified\)$/);
  });

  test("a chardev client refuses a server that it should not talk to, and says why", async (dirs) => {
    using good = await objects(engine, dirs.localhost, "client");
    const cases: [string, string, { host?: string; more?: string }][] = [
      [
        dirs.elsewhere,
        "Certificate does not match the hostname localhost",
        {},
      ],
      [
        dirs.localhost,
        "Certificate does not match the hostname vm9.example",
        { more: ",tls-hostname=vm9.example" },
      ],
      [dirs.foreign, "The certificate hasn't got a known issuer", {}],
      [dirs.expired, "The certificate is not trusted", {}],
    ];
    for (const [dir, message, options] of cases) {
      using theirs = await objects(engine, dir, "server");
      await using server = await serve(theirs);
      const error = await assertRejects(
        () => dial(good, server.address, options),
        CredsError,
        "",
        message,
      );
      assertEquals(error.message, message);
      assert(error.hints.length > 0, message);
    }
    using theirs = await objects(engine, dirs.localhost, "server");
    await using server = await serve(theirs);
    await talk(good, server, { host: "127.0.0.1" });
  });

  test("a chardev server refuses clients by cause and serves the next", async (dirs) => {
    using ours = await objects(engine, dirs.localhost, "server");
    await using server = await serve(ours);
    let count = 0;
    for (
      const [dir, message] of [
        [dirs.bare, /^Verify failed: No certificate was found\.$/],
        // A client that looks at the list of accepted CAs keeps its foreign certificate back.
        [
          dirs.smuggler,
          /^(Verify failed: No certificate was found\.|The certificate hasn't got a known issuer)$/,
        ],
        [dirs.expired, /^The certificate is not trusted$/],
      ] as const
    ) {
      using theirs = await objects(engine, dir, "client");
      const ending = await assertRejects(() => dial(theirs, server.address), VirtcredsError);
      assert(ending.hints.length > 0, ending.message);
      const error = await server.refusal(++count);
      assertMatch(error.message, message);
      assert(error.hints.length > 0, error.message);
      using good = await objects(engine, dirs.localhost, "client");
      await talk(good, server);
    }
  });

  test("a chardev server admits and refuses clients by distinguished name", async (dirs) => {
    using ours = await objects(engine, dirs.localhost, "server");
    await ours.add("authz-simple,id=az,identity=O=virtcreds CA,,CN=elsewhere.example");
    await using server = await serve(ours, { more: ",tls-authz=az" });
    using denied = await objects(engine, dirs.localhost, "client");
    await assertRejects(() => dial(denied, server.address), VirtcredsError);
    assertMatch(
      (await server.refusal(1)).message,
      /^TLS x509 authz check for O=virtcreds CA,CN=localhost is denied$/,
    );
    using admitted = await objects(engine, dirs.elsewhere, "client");
    await talk(admitted, server);
  });

  test("a chardev server names garbage, plain text and a hang-up and serves the next", async (dirs) => {
    using ours = await objects(engine, dirs.localhost, "server");
    await using server = await serve(ours);
    const pieces: readonly Uint8Array[] = [
      new TextEncoder().encode("hello\r\n"),
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
      crypto.getRandomValues(new Uint8Array(4096)),
      // A record header that promises more than comes.
      Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01),
      new Uint8Array(0),
    ];
    for (const [index, piece] of pieces.entries()) {
      const client = await connect(server.address);
      await client.write(piece).catch(() => {});
      await client.closeWrite().catch(() => {});
      const error = await server.refusal(index + 1);
      assert(error instanceof EngineError, String(error));
      assertMatch(error.hints.join(), /must speak TLS, with credentials of endpoint=client/);
      client.close();
    }
    using good = await objects(engine, dirs.localhost, "client");
    await talk(good, server);
  });

  test("a chardev server is not held up by silent clients", async (dirs) => {
    using ours = await objects(engine, dirs.localhost, "server");
    using good = await objects(engine, dirs.localhost, "client");
    await using server = await serve(ours, { handshakeTimeout: 60_000 });
    const silent = [];
    for (let i = 0; i < 100; i++) silent.push(await connect(server.address));
    await talk(good, server);
    // Each one too many made room, the good one too, and none of them timed out.
    assertEquals(server.refused.length, 100 + 1 - MAX_UNPROVED);
    assertEquals(new Set(server.refused.map((error) => error.code)), new Set(["CROWDED"]));
    assert(server.refused.every((error) => error.hints.length > 0));
    for (const client of silent) client.close();
  });

  test("a chardev server sends silent clients away and comes to the others", async (dirs) => {
    using ours = await objects(engine, dirs.localhost, "server");
    using good = await objects(engine, dirs.localhost, "client");
    await using server = await serve(ours, { handshakeTimeout: 1500 });
    const silent = [];
    for (let i = 0; i < 32; i++) silent.push(await connect(server.address));
    await talk(good, server);
    assertEquals((await server.refusal(32) as EngineError).code, "TLS_TIMEOUT");
    for (const client of silent) {
      await readToEnd(client).catch(() => {});
      client.close();
    }
  });

  test("two chardevs of the same TLS role find out and say what is wrong", async (dirs) => {
    using twoServers = await objects(engine, dirs.localhost, "server");
    {
      await using server = await serve(twoServers, { handshakeTimeout: 300 });
      const error = await assertRejects(
        () => dial(twoServers, server.address, { handshakeTimeout: 300 }),
        EngineError,
      );
      assertMatch(error.hints.join(), /tls0 makes this side the TLS server/);
      assertMatch((await server.refusal(1)).hints.join(), /endpoint=client/);
    }
    using twoClients = await objects(engine, dirs.localhost, "client");
    await using server = await serve(twoClients, { more: ",tls-hostname=localhost" });
    const error = await assertRejects(() => dial(twoClients, server.address), EngineError);
    assertMatch(error.hints.join(), /tls0 makes this side the TLS client/);
    assertMatch((await server.refusal(1)).hints.join(), /endpoint=server/);
  });

  test("planTls() refuses an authorization that no certificate is shown to", async (dirs) => {
    const psk = `${dirs.localhost}/../psk`;
    Deno.mkdirSync(psk);
    Deno.writeTextFileSync(`${psk}/keys.psk`, "alice:00112233445566778899aabbccddeeff\n");
    const cases = [
      ["x509", `tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server,verify-peer=off`],
      // The platform has neither of these.
      ["psk", `tls-creds-psk,id=tls0,dir=${psk},endpoint=server`],
      ["anon", "tls-creds-anon,id=tls0,endpoint=server"],
    ] as const;
    const listening = parseSocketChardev(
      "socket,id=s0,host=::1,port=0,server=on,tls-creds=tls0,tls-authz=az",
    );
    for (const [kind, option] of cases) {
      if (kind !== "x509" && engine === "platform") continue;
      using registry = new ObjectRegistry({ engine: await chooseEngine(engine) });
      await registry.add(option);
      await registry.add("authz-simple,id=az,identity=CN=nobody");
      const error = assertThrows(() => planTls(listening, registry), ChardevError);
      assertEquals([error.code, error.exitCode], ["NO_EFFECT", 2]);
      assertMatch(
        error.message,
        /^option 'tls-authz' has no effect with (verify-peer=off|tls-creds-)/,
      );
      assertMatch(error.hints.join(), /leave tls-authz= out$/);
      const { tlsAuthz: _, ...open } = listening;
      assertEquals(planTls(open, registry)?.authorize, undefined);
    }
  });

  test("missingAuthz() finds an authorization that is not there or is none", async (dirs) => {
    using registry = await objects(engine, dirs.localhost, "server");
    await registry.add("authz-simple,id=az,identity=x");
    const device = parseSocketChardev("socket,id=s0,host=::1,port=0,server=on,tls-creds=tls0");
    for (
      const [id, message] of [
        ["az", undefined],
        ["nope", "Cannot find QAuthZ object ID nope"],
        ["tls0", "Object 'tls0' is not a QAuthZ subclass"],
      ] as const
    ) {
      assertEquals(missingAuthz({ ...device, tlsAuthz: id }, registry)?.message, message);
    }
    assertEquals(missingAuthz(device, registry), undefined);
  });

  test("planTls() refuses a TLS client that does not know whom to expect", async (dirs) => {
    using client = await objects(engine, dirs.localhost, "client");
    using server = await objects(engine, dirs.localhost, "server");
    using trusting = await objects(engine, dirs.localhost, "client", ",verify-peer=off");
    const listening = parseSocketChardev("socket,id=s0,host=::1,port=0,server=on,tls-creds=tls0");
    const error = assertThrows(() => planTls(listening, client), ChardevError);
    assertEquals(error.message, "Expected TLS credentials for a server endpoint");
    assertMatch(error.hints.join("\n"), /endpoint=server\n.*tls-hostname=NAME/);
    assertEquals(planTls(listening, trusting)?.hostname, undefined);
    const dialling = parseSocketChardev("socket,id=c0,host=::1,port=1,tls-creds=tls0");
    assertEquals(planTls(dialling, client)?.hostname, "::1");
    assertEquals(planTls(dialling, server)?.hostname, undefined);
    const misnamed = { ...dialling, tlsHostname: "x" };
    assertEquals(planTls(misnamed, client)?.hostname, "x");
    assertThrows(() => planTls(misnamed, server), ChardevError, "'tls-hostname' has no effect");
    assertEquals(
      planTls(parseSocketChardev("socket,id=c0,host=::1,port=1"), client),
      undefined,
    );
    const unknown = { ...dialling, tlsCreds: "nope" };
    assertThrows(() => planTls(unknown, client), CredsError, "No TLS credentials with id 'nope'");
  });
}
