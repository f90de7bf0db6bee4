/**
 * The other side of the TLS benchmarks, in a process of its own: Deno's native TLS, the fastest at
 * hand. `_tls_peer.ts send|receive|both BYTES DIR` prints its port and serves until it is killed.
 */

const [mode, count, dir] = Deno.args;
const total = Number(count);
const listener = Deno.listenTls({
  hostname: "127.0.0.1",
  port: 0,
  cert: Deno.readTextFileSync(`${dir}/server-cert.pem`),
  key: Deno.readTextFileSync(`${dir}/server-key.pem`),
});
console.log((listener.addr as Deno.NetAddr).port);

async function send(conn: Deno.Conn): Promise<void> {
  const block = new Uint8Array(1 << 20);
  for (let left = total; left > 0;) {
    left -= await conn.write(block.subarray(0, Math.min(left, block.length)));
  }
}

async function receive(conn: Deno.Conn): Promise<void> {
  const block = new Uint8Array(1 << 20);
  for (let got = 0; got < total;) {
    const bytes = await conn.read(block);
    if (bytes === null) throw new Error(`the end came after ${got} bytes`);
    got += bytes;
  }
}

for await (const conn of listener) {
  const serve = async () => {
    try {
      if (mode === "send") await send(conn);
      else if (mode === "receive") await receive(conn);
      else await Promise.all([send(conn), receive(conn)]);
      // The sign that all was received; then it waits for the other side to leave.
      if (mode !== "send") await conn.write(Uint8Array.of(1));
      await conn.closeWrite();
      await conn.read(new Uint8Array(1));
    } catch { /* the other side has what it wants */ }
    try {
      conn.close();
    } catch { /* it is closed */ }
  };
  serve();
}
