/**
 * What TLS costs: one way, both ways, many at once, handshakes and idle sessions, beside node:tls
 * and openssl. `VIRTCREDS_BENCH_MIB` sets how much each run carries.
 */

import process from "node:process";
import tls from "node:tls";
import { connect } from "../channel/mod.ts";
import { chooseEngine, type Engine, type TlsSession } from "../engine/mod.ts";
import { makePki } from "../tests/support/pki.ts";
import { compare, type Contestant, mustRun, printTable } from "./measure.ts";

const MIB = Number(Deno.env.get("VIRTCREDS_BENCH_MIB") ?? 512);
const TOTAL = MIB << 20;
const ROUNDS = 5;
const SIZES = [16 << 10, 64 << 10, 256 << 10, 4 << 20];
const AT_ONCE = 8;
const IDLE = new URL("_tls_idle.ts", import.meta.url).pathname;
const PEER = new URL("_tls_peer.ts", import.meta.url).pathname;

type Mode = "send" | "receive" | "both";

interface Peer extends AsyncDisposable {
  readonly port: number;
}

/** One run: carries its bytes and gives MB a second. */
type Carry = (port: number, size: number) => Promise<number>;

/** Runs everything and prints tables. */
export async function benchTls(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  try {
    const pki = await makePki(dir, { hosts: [{ name: "localhost", ip: ["127.0.0.1"] }] });
    const credentials = pki.host("localhost");
    await idle(credentials);
    await handshakes(credentials);
    for (const size of SIZES) await throughput(credentials, "send", size);
    for (const size of SIZES) await throughput(credentials, "receive", size);
    await throughput(credentials, "both", 64 << 10);
    await many(credentials);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

async function startPeer(mode: Mode, bytes: number, dir: string): Promise<Peer> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", PEER, mode, String(bytes), dir],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  return {
    port: Number(new TextDecoder().decode(value)),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

async function throughput(dir: string, mode: Mode, size: number): Promise<void> {
  await using peer = await startPeer(mode, TOTAL, dir);
  const cpu = new Map<string, number[]>();
  const contestants: Contestant[] = [];
  const add = (name: string, carry: Carry) =>
    contestants.push({
      name,
      async run() {
        const before = process.cpuUsage();
        const speed = await carry(peer.port, size);
        const { user, system } = process.cpuUsage(before);
        const seconds = (user + system) / 1e6 / (MIB / 1024);
        cpu.set(name, [...cpu.get(name) ?? [], seconds]);
        return speed;
      },
    });
  for (const name of ["gnutls", "platform"] as const) {
    const engine = await chooseEngine(name);
    add(`${name} engine`, async (port, size) => {
      const session = await dial(engine, dir, port);
      return await timed(() => carry(session, mode, size), () => session.close());
    });
  }
  add("node:tls", (port, size) => carryNode(dir, mode, port, size));
  if (mode !== "both") {
    contestants.push({ name: "openssl s_client", run: () => carryOpenssl(mode, peer.port) });
  }
  const what = { send: "reading", receive: "writing", both: "both ways at once, each" }[mode];
  const results = await compare(contestants, ROUNDS);
  printTable(`TLS, ${what}, buffers of ${size >> 10} KiB`, "MB/s", "more", results);
  for (const [name, all] of cpu) {
    const sorted = [...all].sort((a, b) => a - b);
    console.log(`  ${name}: ${sorted[sorted.length >> 1]!.toFixed(2)} s of CPU for a GiB`);
  }
}

async function dial(engine: Engine, dir: string, port: number): Promise<TlsSession> {
  using credentials = engine.credentials({
    kind: "x509",
    endpoint: "client",
    trust: Deno.readFileSync(`${dir}/ca-cert.pem`),
    identities: [],
  });
  const channel = await connect({ kind: "tcp", host: "127.0.0.1", port });
  return await engine.open(channel, { credentials });
}

async function timed(work: () => Promise<void>, end: () => void): Promise<number> {
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  end();
  return TOTAL / 1e6 / seconds;
}

async function carry(session: TlsSession, mode: Mode, size: number): Promise<void> {
  const read = async (total: number) => {
    const buffer = new Uint8Array(size);
    for (let got = 0; got < total;) {
      const count = await session.read(buffer);
      if (count === null) throw new Error(`the end came after ${got} bytes`);
      got += count;
    }
  };
  const write = async () => {
    const buffer = new Uint8Array(size);
    for (let sent = 0; sent < TOTAL; sent += size) await session.write(buffer);
  };
  if (mode === "send") await read(TOTAL);
  else if (mode === "receive") await write().then(() => read(1));
  else await Promise.all([write(), read(TOTAL + 1)]);
}

async function carryNode(dir: string, mode: Mode, port: number, size: number): Promise<number> {
  const socket = tls.connect({
    port,
    host: "127.0.0.1",
    ca: Deno.readTextFileSync(`${dir}/ca-cert.pem`),
  });
  await new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    socket.once("error", reject);
  });
  socket.on("error", () => {});
  const wanted = { send: TOTAL, receive: 1, both: TOTAL + 1 }[mode];
  return await timed(async () => {
    const reading = new Promise<void>((resolve) => {
      let got = 0;
      socket.on("data", (bytes: Uint8Array) => {
        got += bytes.length;
        if (got >= wanted) resolve();
      });
    });
    if (mode !== "send") {
      const buffer = new Uint8Array(size);
      for (let sent = 0; sent < TOTAL; sent += size) {
        if (!socket.write(buffer)) await new Promise((resolve) => socket.once("drain", resolve));
      }
    }
    await reading;
  }, () => socket.destroy());
}

async function carryOpenssl(mode: Mode, port: number): Promise<number> {
  const client = `openssl s_client -quiet -connect 127.0.0.1:${port} 2>/dev/null`;
  const pipeline = mode === "send"
    ? `${client} </dev/null | head -c ${TOTAL} >/dev/null`
    : `head -c ${TOTAL} /dev/zero | ${client} | head -c 1 >/dev/null`;
  return await timed(async () => {
    await new Deno.Command("sh", { args: ["-c", pipeline], stdin: "null" }).output();
  }, () => {});
}

async function many(dir: string): Promise<void> {
  await using peer = await startPeer("send", TOTAL / AT_ONCE, dir);
  const contestants: Contestant[] = [];
  for (const name of ["gnutls", "platform"] as const) {
    const engine = await chooseEngine(name);
    contestants.push({
      name: `${name} engine`,
      async run() {
        const sessions = await Promise.all(
          Array.from({ length: AT_ONCE }, () => dial(engine, dir, peer.port)),
        );
        return await timed(async () => {
          await Promise.all(sessions.map(async (session) => {
            const buffer = new Uint8Array(64 << 10);
            for (let got = 0; got < TOTAL / AT_ONCE;) got += (await session.read(buffer)) ?? NaN;
          }));
        }, () => sessions.forEach((session) => session.close()));
      },
    });
  }
  const results = await compare(contestants, ROUNDS);
  printTable(`TLS, reading, ${AT_ONCE} sessions at once, together`, "MB/s", "more", results);
}

async function handshakes(dir: string): Promise<void> {
  await using peer = await startPeer("send", 1, dir);
  const count = 200;
  const contestants: Contestant[] = [];
  const add = (name: string, shake: () => Promise<() => void>) =>
    contestants.push({
      name,
      async run() {
        const start = performance.now();
        for (let i = 0; i < count; i++) (await shake())();
        return count / ((performance.now() - start) / 1000);
      },
    });
  for (const name of ["gnutls", "platform"] as const) {
    const engine = await chooseEngine(name);
    add(`${name} engine`, async () => {
      const session = await dial(engine, dir, peer.port);
      return () => session.close();
    });
  }
  const ca = Deno.readTextFileSync(`${dir}/ca-cert.pem`);
  add("node:tls", async () => {
    const socket = tls.connect({ port: peer.port, host: "127.0.0.1", ca });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    return () => socket.destroy();
  });
  printTable("TLS 1.3 handshakes of a client", "1/s", "more", await compare(contestants, ROUNDS));
}

async function idle(dir: string): Promise<void> {
  await using peer = await startPeer("receive", 1, dir);
  const count = 500;
  const contestants = (["gnutls", "platform"] as const).map((name) => ({
    name: `${name} engine`,
    run: async () =>
      Number(
        await mustRun(Deno.execPath(), [
          ...["run", "-A", "--no-check", IDLE, name, String(peer.port), String(count), dir],
        ]),
      ),
  }));
  const results = await compare(contestants, 3, false);
  printTable(`memory of an idle session, ${count} of them`, "KiB", "less", results);
}

if (import.meta.main) await benchTls();
