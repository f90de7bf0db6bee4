import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { VirtcredsError } from "../../base/mod.ts";
import { connect, listen } from "../../channel/mod.ts";
import { dispatch } from "../../cli/_command.ts";
import { CHARDEV } from "../../cli/chardev.ts";
import { directories } from "../chardev/devices.ts";
import { type Running, start, startProgram } from "../chardev/process.ts";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

function object(dir: string, endpoint: "client" | "server"): string[] {
  return ["--object", `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`];
}

/** Starts the server program on any port, and says which. */
async function startServer(dir: string, ...more: string[]): Promise<[Running, string]> {
  const server = startProgram("chardev/server.ts", [
    ...object(dir, "server"),
    ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0", ...more],
  ]);
  const [, port] = await server.untilErr(/^listening on tcp:127\.0\.0\.1:(\d+)$/m);
  return [server, port!];
}

function clientArgs(dir: string, port: string, more = ""): string[] {
  return [
    ...object(dir, "client"),
    ...["--chardev", `socket,id=s0,host=localhost,port=${port},ipv6=off,tls-creds=tls0${more}`],
  ];
}

Deno.test("chardev/server.ts and chardev/client.ts join their standard input and output", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const [server, port] = await startServer(dirs.localhost);
  await using _server = server;
  await using client = startProgram("chardev/client.ts", clientArgs(dirs.elsewhere, port));
  await server.type("from the server\n");
  await client.untilOut("from the server\n");
  await client.type("from the client\n");
  await server.untilOut("from the client\n");
  await client.end();
  assertEquals(await client.exit, 0);
  // Its client has left: nobody types into the server any more.
  assertEquals(await server.exit, 0);
  assertEquals([client.stdout(), server.stdout()], ["from the server\n", "from the client\n"]);
  assertMatch(
    server.stderr(),
    /^listening on .*\ninfo: QEMU waiting for connection on: .*\nconnected: 127\.0\.0\.1:\d+ over TLS1\.3 TLS_\w+, .*CN=elsewhere\.example\n127\.0\.0\.1:\d+ has left\n$/,
  );
});

Deno.test("chardev server and client pass a file through whole", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const [server, port] = await startServer(dirs.localhost);
  await using _server = server;
  const line = "0123456789abcdef".repeat(4) + "\n";
  const text = line.repeat(8000);
  const sent = await virtcreds(["chardev", "client", ...clientArgs(dirs.elsewhere, port)], {
    stdin: text,
  });
  assertEquals(sent.code, 0, sent.stderr);
  assertEquals(await server.exit, 0);
  assert(server.stdout() === text, `${server.stdout().length} of ${text.length} bytes came`);
});

programTest(
  "chardev/server.ts names who it refuses and why, and serves the next",
  ["gnutls-cli"],
  async () => {
    using folder = temporaryDirectory();
    const dirs = await directories(folder.path);
    const [server, port] = await startServer(dirs.localhost);
    await using _server = server;
    const d = dirs.localhost;
    const args = ["--x509cafile", `${d}/ca-cert.pem`, "-p", port, "localhost"];
    await using stranger = start("gnutls-cli", args);
    const [, hint] = await server.untilErr(
      /^error: 127\.0\.0\.1:\d+: Verify failed: No certificate was found\.\nhint: (.*)$/m,
    );
    assert(hint!.length > 10);
    await stranger.exit;
    await using client = start("gnutls-cli", [
      ...["--x509certfile", `${d}/client-cert.pem`, "--x509keyfile", `${d}/client-key.pem`],
      ...args,
    ]);
    await client.type("to the server\n");
    await server.untilOut("to the server\n");
    await server.type("to gnutls-cli\n");
    await client.untilOut("to gnutls-cli\n");
    await server.end();
    assertEquals(await server.exit, 0);
    await client.exit;
  },
);

Deno.test("chardev/server.ts warns at its start of an authorization that is not there", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  await using server = startProgram("chardev/server.ts", [
    ...object(dirs.localhost, "server"),
    ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on,tls-creds=tls0,tls-authz=az"],
  ]);
  await server.untilErr(
    /^warning: Cannot find QAuthZ object ID az: every peer will be refused\nhint: --object authz-simple,id=az,identity=DN\nlistening on /,
  );
});

Deno.test("chardev/server.ts --serve goes on until its standard input ends", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const [server, port] = await startServer(dirs.localhost, "--serve");
  await using _server = server;
  for (const word of ["one\n", "two\n"]) {
    const sent = await run(Deno.execPath(), [
      ...["run", "-A", "--no-check", "--config", `${PROJECT}/deno.json`],
      ...[`${PROJECT}/chardev/client.ts`, ...clientArgs(dirs.elsewhere, port)],
    ], { stdin: word });
    assertEquals(sent.code, 0, sent.stderr);
    await server.untilOut(word);
  }
  await using client = startProgram("chardev/client.ts", clientArgs(dirs.elsewhere, port));
  await server.type("bye\n");
  await client.untilOut("bye\n");
  await server.end();
  assertEquals([await server.exit, await client.exit], [0, 0]);
});

Deno.test("chardev/client.ts ends with 1 when it or its server refuses the other", async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  const [server, port] = await startServer(dirs.localhost);
  await using _server = server;
  const bare = await virtcreds(["chardev", "client", ...clientArgs(dirs.bare, port)]);
  assertEquals(bare.code, 1);
  assertMatch(bare.stderr, /\nerror: .*\nhint: it may have refused this side's certificate/);
  const named = await virtcreds([
    ...["chardev", "client", ...clientArgs(dirs.elsewhere, port, ",tls-hostname=vm9.example")],
  ]);
  assertEquals(named.code, 1);
  assertMatch(
    named.stderr,
    /^error: Certificate does not match the hostname vm9\.example\nhint: .*localhost/,
  );
});

Deno.test("chardev/client.ts ends with 0 when the reader of its output has enough", async () => {
  await using server = startProgram("chardev/server.ts", [
    ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on", "--serve"],
  ]);
  const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
  const client = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ` +
    `${PROJECT}/chardev/client.ts --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
  await using pipe = start("bash", ["-c", `${client} | head -n 1; echo codes \${PIPESTATUS[*]}`]);
  await server.type("one\n");
  await pipe.untilOut("one\n");
  await pipe.untilErr(/connected/);
  // It finds out with what comes next.
  for (let i = 0; i < 400 && !pipe.stdout().includes("codes"); i++) {
    await server.type("more\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertEquals(pipe.stdout(), "one\ncodes 0 0\n");
  assertMatch(pipe.stderr(), /^connected: .*\n127\.0\.0\.1:\d+ was left\n$/);
});

Deno.test("chardev/server.ts puts its socket in order when a signal ends it", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  for (const [signal, code] of [["SIGTERM", 143], ["SIGINT", 130], ["SIGHUP", 129]] as const) {
    await using server = startProgram("chardev/server.ts", [
      ...["--chardev", `socket,id=s0,path=${path},server=on`],
    ]);
    await server.untilErr(/listening on unix:/);
    if (signal === "SIGINT") {
      const client = await connect({ kind: "unix", path });
      await server.untilErr(/connected: .* without TLS/);
      server.signal(signal);
      assertEquals(await client.read(new Uint8Array(1)), null);
      client.close();
    } else server.signal(signal);
    assertEquals(await server.exit, code);
    assertEquals([...Deno.readDirSync(folder.path)], []);
  }
});

programTest("chardev commands answer wrong input with one error and a hint", [], async () => {
  using folder = temporaryDirectory();
  const dirs = await directories(folder.path);
  await using taken = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 });
  if (taken.address.kind !== "tcp") throw new Error("not a TCP address");
  const junk = `${folder.path}/junk`;
  Deno.mkdirSync(junk);
  for (const file of ["ca-cert.pem", "client-cert.pem", "client-key.pem"]) {
    Deno.writeTextFileSync(`${junk}/${file}`, "junk\n");
  }
  const tcp = "socket,id=s0,host=127.0.0.1,port=0";
  const cases: [string[], number, RegExp][] = [
    [["server"], 2, /^error: missing --chardev$/],
    [["client", "--chardev"], 2, /^error: --chardev needs a value/],
    [["client", "--bogus"], 2, /^error: unknown flag --bogus$/],
    [["client", "--chardev", `${tcp},bogus=1`], 2, /^error: Invalid parameter 'bogus'$/],
    [["client", "--chardev", `${tcp},websocket=on`], 2, /^error: Websocket client is not/],
    [["client", "--chardev", "null,id=n0"], 2, /^error: cannot do the back end null here/],
    [["client", "--serial", "tcp:127.0.0.1"], 2, /^error: could not connect serial device to /],
    [["client", "--serial", "chardev:x"], 2, /^error: could not connect serial device to /],
    [
      ["client", "--chardev", tcp, "--backend", "pipe:/nowhere/p"],
      1,
      /^error: Could not open '\/nowhere\/p': No such file or directory$/,
    ],
    [["join", "stdio", "stdio"], 2, /^error: cannot use stdio by multiple character devices$/],
    [
      ["client", "--serial", "tcp:127.0.0.1:1", "--monitor", "stdio"],
      2,
      /^error: cannot use stdio by multiple character devices$/,
    ],
    [["join", "null"], 2, /^error: missing ONE OTHER$/],
    [["join", "null,id=a", "pty,id=a"], 2, /^error: Duplicate ID 'a' for chardev$/],
    [["join", "bogus", "null"], 2, /^error: 'bogus' is not a valid char driver name$/],
    [["server", "--chardev", tcp], 2, /^error: chardev server is for a socket with server=on$/],
    [["client", "--chardev", `${tcp},server=on`], 2, /^error: chardev client is for .*server=off$/],
    [
      ["client", "--chardev", `${tcp},tls-creds=tls0`],
      1,
      /^error: No TLS credentials with id 'tls0'$/,
    ],
    [
      ["client", "--object", "junk", "--chardev", tcp],
      2,
      /^error: /,
    ],
    [
      [
        "server",
        "--object",
        "tls-creds-anon,id=t0,endpoint=server",
        "--chardev",
        `${tcp},server=on`,
      ],
      2,
      /^error: nothing uses the credentials 't0': the channel would be plain$/,
    ],
    [
      ["client", ...object(`${folder.path}/none`, "client"), "--chardev", `${tcp},tls-creds=tls0`],
      1,
      /^error: Unable to access credentials .*none\/ca-cert\.pem: No such file or directory$/,
    ],
    [
      ["client", ...object(junk, "client"), "--chardev", `${tcp},tls-creds=tls0`],
      1,
      /^error: Unable to import .*junk\/.*-cert\.pem/,
    ],
    [
      [
        "server",
        ...object(dirs.localhost, "client"),
        "--chardev",
        `${tcp},server=on,tls-creds=tls0`,
      ],
      1,
      /^error: Expected TLS credentials for a server endpoint$/,
    ],
    [
      [
        "server",
        ...[
          "--object",
          `tls-creds-x509,id=tls0,dir=${dirs.localhost},endpoint=server,verify-peer=off`,
        ],
        ...["--object", "authz-simple,id=az,identity=CN=nobody"],
        ...["--chardev", `${tcp},server=on,tls-creds=tls0,tls-authz=az`],
      ],
      2,
      /^error: option 'tls-authz' has no effect with verify-peer=off: every peer would be let in$/,
    ],
    [
      ["client", "--chardev", "socket,id=s0,host=127.0.0.1,port=1"],
      1,
      /^error: Failed to connect to '127\.0\.0\.1:1': Connection refused$/,
    ],
    [
      ["server", "--chardev", `socket,id=s0,host=127.0.0.1,port=${taken.address.port},server=on`],
      1,
      /^error: Failed to find an available port: Address already in use$/,
    ],
    [
      ["server", "--chardev", `${tcp},server=on,logfile=${folder.path}/none/log`],
      1,
      /^error: Could not create '.*none\/log': No such file or directory$/,
    ],
  ];
  const typable = await virtcreds(["chardev", "server", "--chardev", tcp]);
  assertMatch(typable.stderr, /^hint: add server=on, or connect: deno task chardev client$/m);
  const missing = await virtcreds(["chardev", "server"]);
  assertMatch(missing.stderr, /^hint: see: deno task chardev server --help$/m);
  assertEquals([typable.code, missing.code], [2, 2]);
  assertEquals([typable.stdout, missing.stdout], ["", ""]);
  for (const [args, code, message] of cases) {
    const what = args.join(" ");
    const error = await assertRejects(() => dispatch(CHARDEV, args), VirtcredsError, "", what);
    assertEquals(error.exitCode, code, what);
    assertMatch(`error: ${error.message}`, message, what);
    assert(error.hints.length > 0, what);
  }
});

programTest(
  "chardev/client.ts makes a terminal raw and puts it back, whatever ends it",
  ["script", "stty"],
  async () => {
    using folder = temporaryDirectory();
    const log = `${folder.path}/log`;
    for (const ending of ["escape", "SIGTERM", "server"]) {
      await using server = startProgram("chardev/server.ts", [
        ...["--chardev", "socket,id=s0,host=127.0.0.1,port=0,server=on"],
      ]);
      const [, port] = await server.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
      const client = `${Deno.execPath()} run -A --no-check --config ${PROJECT}/deno.json ` +
        `${PROJECT}/chardev/client.ts --chardev socket,id=c0,host=127.0.0.1,port=${port}`;
      const script = `echo before $(stty -g); ${client} & echo $! >${log}; fg >/dev/null; ` +
        `echo code $?; echo after $(stty -g)`;
      await using terminal = start("script", ["-qfec", `bash -c 'set -m; ${script}'`, "/dev/null"]);
      await terminal.untilOut("^] ends it");
      // A raw terminal hands Ctrl-C over and echoes nothing.
      await terminal.type("typed\x03");
      await server.untilOut("typed\x03");
      if (ending === "escape") await terminal.type("\x1d");
      else if (ending === "server") server.signal("SIGTERM");
      else Deno.kill(Number(Deno.readTextFileSync(log)), "SIGTERM");
      await terminal.untilOut("after ");
      await terminal.exit;
      const output = terminal.stdout();
      assertStringIncludes(output, `code ${ending === "SIGTERM" ? 143 : 0}`, output);
      const [before, after] = ["before", "after"].map((word) =>
        new RegExp(`${word} (\\S+)`).exec(output)?.[1]
      );
      assertEquals(after, before, ending);
      assertEquals(output.includes("typed"), false, output);
      await server[Symbol.asyncDispose]();
    }
  },
);
