import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { ChannelError, connect, listen, type Listener } from "../../channel/mod.ts";
import { PAIRS, readExactly, readToEnd, tcpPair, unixPair } from "../support/channels.ts";
import { temporaryDirectory } from "../support/temp.ts";

const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

for (const [name, open] of Object.entries(PAIRS)) {
  Deno.test(`a channel (${name}) carries bytes both ways and half-closes`, async () => {
    const [a, b] = await open();
    await a.write(new Uint8Array(0));
    await a.write(Uint8Array.of(1, 2, 3));
    assertEquals(await readExactly(b, 3), Uint8Array.of(1, 2, 3));
    await a.closeWrite();
    assertEquals(await b.read(new Uint8Array(8)), null);
    await b.write(Uint8Array.of(4));
    await b.closeWrite();
    assertEquals(await readToEnd(a), Uint8Array.of(4));
    a.close();
    b.close();
    b.close();
  });

  Deno.test(`a channel (${name}) ends a pending read when it is closed, and refuses writes`, async () => {
    const [a, b] = await open();
    const pending = a.read(new Uint8Array(8));
    a.close();
    assertEquals(await pending, null);
    assertEquals(await a.read(new Uint8Array(8)), null);
    await assertRejects(() => a.write(Uint8Array.of(1)), Error, "closed");
    assertEquals(await b.read(new Uint8Array(8)), null);
    b.close();
  });

  Deno.test(`a channel (${name}) rejects a pending write when it is closed`, async () => {
    const [a, b] = await open();
    const written = (async () => {
      for (;;) await a.write(new Uint8Array(1 << 20));
    })();
    await readExactly(b, 1000);
    a.close();
    await assertRejects(() => written, Error, "closed");
    b.close();
  });
}

Deno.test("a channel rejects reads and writes in QEMU's words when the peer resets", async () => {
  const [a, b] = await tcpPair();
  await a.write(Uint8Array.of(1));
  await b.write(Uint8Array.of(1));
  // Unread bytes at close make the kernel send RST instead of FIN.
  b.close();
  const error = await assertRejects(async () => {
    for (;;) await a.write(new Uint8Array(1 << 16));
  }, ChannelError);
  assertMatch(error.message, /^Unable to write to socket: (Connection reset by peer|Broken pipe)$/);
  a.close();
});

Deno.test("a channel names both of its ends", async () => {
  await using listener = await listen(LOOPBACK);
  await using client = await connect(listener.address);
  await using server = await listener.accept();
  assertEquals(client.peer, server.local);
  assertEquals(client.local, server.peer);
  assert(listener.address.kind === "tcp");
  assertEquals(client.peer, `127.0.0.1:${listener.address.port}`);
});

Deno.test("a channel over a unix socket is called by the socket's path", async () => {
  const [a, b] = await unixPair();
  assertMatch(a.peer, /^unix:\/.*\/s$/);
  assertEquals(b.peer, a.peer);
  a.close();
  b.close();
});

Deno.test("connect() says what QEMU says of a refused connection, with a hint", async () => {
  const listener = await listen(LOOPBACK);
  listener.close();
  assert(listener.address.kind === "tcp");
  const { port } = listener.address;
  const error = await assertRejects(() => connect(listener.address), ChannelError);
  assertEquals(error.message, `Failed to connect to '127.0.0.1:${port}': Connection refused`);
  assertEquals(error.code, "CONNECT_FAILED");
  assertEquals(error.hints.length, 1);
});

Deno.test("connect() says what QEMU says of an unknown name", async () => {
  const address = { kind: "tcp", host: "nosuch.invalid", port: 4444 } as const;
  for (const options of [{}, { ipv4: false }, { ipv6: false }]) {
    const error = await assertRejects(() => connect({ ...address, ...options }), ChannelError);
    assertMatch(
      error.message,
      /^address resolution failed for nosuch\.invalid:4444: (Name or service not known|Temporary failure in name resolution)$/,
    );
    assertEquals(error.code, "ADDRESS_UNRESOLVED");
  }
});

Deno.test("connect() refuses an address without host", async () => {
  const error = await assertRejects(
    () => connect({ kind: "tcp", host: "", port: 4 }),
    ChannelError,
  );
  assertEquals(error.message, "address resolution failed for :4: Name or service not known");
});

Deno.test("connect() says what QEMU says of a unix socket that is not there", async () => {
  const path = "/nonexistent/x";
  const error = await assertRejects(() => connect({ kind: "unix", path }), ChannelError);
  assertEquals(error.message, "Failed to connect to '/nonexistent/x': No such file or directory");
});

Deno.test("connect() names an abstract socket as ss does", async () => {
  const name = `@nosuch-${crypto.randomUUID()}`;
  const path = `\0${name.slice(1)}`;
  const error = await assertRejects(() => connect({ kind: "unix", path }), ChannelError);
  assertEquals(error.message, `Failed to connect to '${name}': Connection refused`);
  assert(error.hints[0]!.includes(`\`ss -lx src ${name}\``), error.hints[0]);
});

Deno.test("connect() reaches a name at the address family that is allowed", async () => {
  await using listener = await listen(LOOPBACK);
  assert(listener.address.kind === "tcp");
  const { port } = listener.address;
  await using client = await connect({ kind: "tcp", host: "localhost", port, ipv6: false });
  assertEquals(client.peer, `127.0.0.1:${port}`);
});

Deno.test("connect() rejects with the reason of its signal", async () => {
  const reason = new Error("enough");
  await assertRejects(
    () => connect(LOOPBACK, { signal: AbortSignal.abort(reason) }),
    Error,
    "enough",
  );
});

Deno.test("connect() gives up after its time limit", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/full`;
  // A unix listener with a full backlog keeps connect(2) waiting.
  await using listener = await listen({ kind: "unix", path });
  const waiting: AsyncDisposable[] = [];
  const error = await assertRejects(async () => {
    for (;;) waiting.push(await connect(listener.address, { timeout: 100 }));
  }, ChannelError);
  assertMatch(
    error.message,
    /^Failed to connect to '.*\/full': (Connection timed out|Resource temporarily unavailable)/,
  );
  for (const channel of waiting) await channel[Symbol.asyncDispose]();
});

Deno.test("listen() says which port is in use and how to see by whom", async () => {
  await using listener = await listen(LOOPBACK);
  const error = await assertRejects(() => listen(listener.address), ChannelError);
  assertEquals(error.message, "Failed to find an available port: Address already in use");
  assertMatch(error.hints.join(), /ss -ltnp 'sport = :\d+'/);
});

Deno.test("listen() goes on to the last port of its range", async () => {
  await using first = await listen(LOOPBACK);
  assert(first.address.kind === "tcp");
  const { port } = first.address;
  await using next = await listen({ ...LOOPBACK, port, to: Math.min(port + 50, 65535) });
  assert(next.address.kind === "tcp" && next.address.port > port);
});

Deno.test("listen() refuses an address of another host", async () => {
  const error = await assertRejects(
    () => listen({ kind: "tcp", host: "192.0.2.1", port: 0 }),
    ChannelError,
  );
  assertEquals(error.message, "Failed to bind socket: Cannot assign requested address");
});

Deno.test("listen() with an empty host takes connections on loopback", async () => {
  await using listener = await listen({ kind: "tcp", host: "", port: 0 });
  assert(listener.address.kind === "tcp");
  await using client = await connect({ ...LOOPBACK, port: listener.address.port });
  await using server = await listener.accept();
  await client.write(Uint8Array.of(7));
  assertEquals(await readExactly(server, 1), Uint8Array.of(7));
});

Deno.test("listen() binds the family that is left on, and no other", async () => {
  for (
    const [host, off, bound] of [
      ["127.0.0.1", { ipv6: false }, "127.0.0.1"],
      ["127.0.0.1", { ipv4: true }, "127.0.0.1"],
      ["localhost", { ipv6: false }, "127.0.0.1"],
      ["", { ipv6: false }, "0.0.0.0"],
      ["", { ipv4: true }, "0.0.0.0"],
      ["::1", { ipv4: false }, "::1"],
      ["::1", { ipv6: true }, "::1"],
      ["::", { ipv4: true, ipv6: true }, "::"],
    ] as const
  ) {
    await using listener = await listen({ kind: "tcp", host, port: 0, ...off });
    assert(listener.address.kind === "tcp");
    assertEquals(listener.address.host, bound, `${host} ${JSON.stringify(off)}`);
  }
});

Deno.test("listen() refuses an address of the family that is off in QEMU's words", async () => {
  for (
    const [host, off] of [
      ["127.0.0.1", { ipv4: false }],
      ["127.0.0.1", { ipv6: true }],
      ["0.0.0.0", { ipv4: false }],
      ["::1", { ipv6: false }],
      ["::", { ipv4: true }],
    ] as const
  ) {
    const error = await assertRejects(
      () => listen({ kind: "tcp", host, port: 0, ...off }),
      ChannelError,
    );
    assertEquals(
      error.message,
      `address resolution failed for ${host}:0: Address family for hostname not supported`,
    );
    assertEquals(error.hints.length, 1);
  }
});

Deno.test("listen() does not let IPv4 in where a name has no IPv6 address", async () => {
  // What localhost has is the machine's affair; 127.0.0.1 it must not be.
  const listening = listen({ kind: "tcp", host: "localhost", port: 0, ipv4: false, ipv6: true });
  const result = await listening.then((l) => l, (error: unknown) => error);
  if (result instanceof ChannelError) {
    assertEquals(
      result.message,
      "address resolution failed for localhost:0: Name or service not known",
    );
  } else {
    await using listener = result as Listener;
    assert(listener.address.kind === "tcp" && listener.address.host === "::1");
  }
});

Deno.test("listen() refuses every IPv6 address without IPv4, which it cannot keep out", async () => {
  for (const host of ["", "::", "0:0::0"]) {
    for (const off of [{ ipv4: false }, { ipv6: true }]) {
      const error = await assertRejects(
        () => listen({ kind: "tcp", host, port: 7001, ...off }),
        ChannelError,
      );
      assertEquals(
        error.message,
        "cannot use address '[::]:7001': listening on every IPv6 address takes in IPv4 too, which is switched off",
      );
      assertEquals([error.code, error.exitCode], ["ADDRESS_INVALID", 2]);
    }
  }
});

Deno.test("connect() refuses an IPv6 address where IPv6 is off, in QEMU's words", async () => {
  const error = await assertRejects(
    () => connect({ kind: "tcp", host: "::1", port: 1, ipv6: false }),
    ChannelError,
  );
  assertEquals(
    error.message,
    "address resolution failed for ::1:1: Address family for hostname not supported",
  );
});

Deno.test("listen() takes a dead unix socket over, leaves a live one and other files alone", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  // A socket that was renamed outlives its listener, as one does whose process was killed.
  const killed = Deno.listen({ transport: "unix", path: `${path}.old` });
  Deno.renameSync(`${path}.old`, path);
  killed.close();
  assert(Deno.lstatSync(path).isSocket);
  {
    await using _ = await listen({ kind: "unix", path });
    const error = await assertRejects(() => listen({ kind: "unix", path }), ChannelError);
    assertEquals(error.message, `Failed to bind socket to ${path}: Address already in use`);
  }
  assertThrows(() => Deno.lstatSync(path), Deno.errors.NotFound);
  Deno.writeTextFileSync(path, "precious");
  await assertRejects(() => listen({ kind: "unix", path }), ChannelError, "already in use");
  assertEquals(Deno.readTextFileSync(path), "precious");
});

Deno.test("close() removes the file of a unix socket, and never that of its successor", async () => {
  using folder = temporaryDirectory();
  const path = `${folder.path}/s`;
  const address = { kind: "unix", path } as const;
  for (const isAccepting of [false, true]) {
    const first = await listen(address);
    const accepting = isAccepting
      ? first.accept()
      : Promise.reject(new ChannelError("CHANNEL_CLOSED"));
    accepting.catch(() => {});
    first.close();
    assertThrows(() => Deno.lstatSync(path), Deno.errors.NotFound);
    await using second = await listen(address);
    await assertRejects(() => accepting, ChannelError, "closed");
    await using client = await connect(address);
    await using server = await second.accept();
    await client.write(Uint8Array.of(1));
    assertEquals(await readExactly(server, 1), Uint8Array.of(1));
  }
  assertEquals([...Deno.readDirSync(folder.path)], []);
});

Deno.test("listen() names the missing folder of a unix socket", async () => {
  const error = await assertRejects(
    () => listen({ kind: "unix", path: "/nonexistent/d/x" }),
    ChannelError,
  );
  assertEquals(
    error.message,
    "Failed to bind socket to /nonexistent/d/x: No such file or directory",
  );
  assertEquals(error.hints, ["create its folder first: mkdir -p /nonexistent/d"]);
});

Deno.test("accept() rejects with the reason of its signal and loses no connection", async () => {
  await using listener = await listen(LOOPBACK);
  const abort = new AbortController();
  const accepting = listener.accept(abort.signal);
  abort.abort(new Error("enough"));
  await assertRejects(() => accepting, Error, "enough");
  await using client = await connect(listener.address);
  await using server = await listener.accept();
  assertEquals(server.peer, client.local);
});

Deno.test("accept() refuses a second caller", async () => {
  await using listener = await listen(LOOPBACK);
  const first = listener.accept();
  await assertRejects(() => listener.accept(), TypeError, "another accept is pending");
  await using client = await connect(listener.address);
  await using server = await first;
  assertEquals(server.peer, client.local);
});

Deno.test("accept() rejects when the listener is closed before or meanwhile", async () => {
  const open: Listener = await listen(LOOPBACK);
  const accepting = open.accept();
  open.close();
  await assertRejects(() => accepting, ChannelError, "closed");
  await assertRejects(() => open.accept(), ChannelError, "closed");
  open.close();
});
