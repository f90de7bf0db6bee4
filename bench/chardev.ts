/**
 * What a TLS serial port costs, beside socat and stunnel: the echo of a key, a guest's output into a
 * log, handshakes, and many devices in one process.
 */

import { connect, startTls } from "../channel/mod.ts";
import { ObjectRegistry } from "../creds/mod.ts";
import { chooseEngine } from "../engine/mod.ts";
import { findProgram } from "../tests/support/programs.ts";
import { makePki } from "../tests/support/pki.ts";
import {
  freePort,
  openTunnel,
  start,
  startOurs,
  TUNNEL_PROGRAMS,
  type TunnelCredentials,
  type TunnelProgram,
  untilOpen,
} from "./_chardev_tunnels.ts";
import { compare, type Contestant, median, mustRun, printTable, type Result } from "./measure.ts";

const ROUNDS = 5;
const ECHOES = 1000;
const LOG_MIB = 128;
const HANDSHAKES = 200;
const MANY = new URL("_chardev_many.ts", import.meta.url).pathname;
const ECHO = new URL("_chardev_echo.ts", import.meta.url).pathname;
/** Devices in one process, and how many of them chat. */
const CROWDS = [[1000, 1000], [10_000, 1000]] as const;

/** Runs everything and prints tables. */
export async function benchChardev(): Promise<void> {
  const scratch = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  try {
    const pki = await makePki(`${scratch}/pki`, {
      hosts: [{ name: "localhost", ip: ["127.0.0.1"] }],
    });
    const credentials = { dir: pki.host("localhost"), scratch };
    await echo("the echo of a key through mutual TLS 1.3", PAIRS, credentials);
    await echo("the same behind socat as the TLS client: one server each", SERVERS, credentials);
    await log(credentials);
    await handshakes(credentials);
    for (const [count, chatting] of CROWDS) await crowd(credentials.dir, count, chatting);
  } finally {
    Deno.removeSync(scratch, { recursive: true });
  }
}

/** Which programs are the ends of the tunnels, client and server; ours come first. */
const PAIRS: readonly (readonly [string, TunnelProgram, TunnelProgram])[] = [
  ["chardev join, two", "chardev join", "chardev join"],
  ["socat OPENSSL, two", "socat OPENSSL", "socat OPENSSL"],
  ["stunnel4, two", "stunnel4", "stunnel4"],
];
const SERVERS: typeof PAIRS = [
  ["chardev join", "socat OPENSSL", "chardev join"],
  ["socat OPENSSL-LISTEN", "socat OPENSSL", "socat OPENSSL"],
  ["stunnel4", "socat OPENSSL", "stunnel4"],
];

/** A plain echo on loopback, in one buffer: garbage here would show in everybody's slowest echo. */
function echoServer(): Deno.TcpListener {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (conn: Deno.TcpConn) => {
    conn.setNoDelay(true);
    const buffer = new Uint8Array(4096);
    for (let count; (count = await conn.read(buffer)) !== null;) {
      await conn.write(buffer.subarray(0, count));
    }
    conn.close();
  };
  (async () => {
    for await (const conn of listener) serve(conn).catch(() => {});
  })();
  return listener;
}

/** Whether a program can be measured; says so where it cannot. */
function isHere(program: TunnelProgram): boolean {
  const name = TUNNEL_PROGRAMS[program];
  if (name === undefined || findProgram(name) !== undefined) return true;
  console.log(`${name} is not here: not measured`);
  return false;
}

async function echo(
  title: string,
  pairs: typeof PAIRS,
  credentials: TunnelCredentials,
): Promise<void> {
  using target = echoServer();
  const p99s = new Map<string, number[]>();
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  for (const [name, client, server] of pairs) {
    if (!isHere(client) || !isHere(server)) continue;
    const { port } = stack.use(await openTunnel(client, server, target.addr.port, credentials));
    contestants.push({
      name,
      async run() {
        const times = await echoes(port);
        p99s.set(name, [...p99s.get(name) ?? [], times[Math.floor(ECHOES * 0.99)]!]);
        return times[ECHOES / 2]!;
      },
    });
  }
  printTable(`${title}, p50`, "µs", "less", await compare(contestants, ROUNDS));
  // The first round does not count here either.
  const rows = [...p99s].map(([name, [, ...all]]): Result => ({ name, all, median: median(all) }));
  printTable("the same, p99", "µs", "less", rows);
}

/** Types keys, each when the one before has come back; gives the times in µs, sorted. */
async function echoes(port: number): Promise<number[]> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  const times: number[] = [];
  const [key, buffer] = [Uint8Array.of(0x78), new Uint8Array(16)];
  for (let i = -50; i < ECHOES; i++) {
    const start = performance.now();
    await conn.write(key);
    if (await conn.read(buffer) === null) throw new Error("a tunnel has hung up");
    if (i >= 0) times.push((performance.now() - start) * 1000);
  }
  return times.sort((a, b) => a - b);
}

/** A client of its own for what others serve. */
async function dialler(dir: string) {
  const objects = new ObjectRegistry({ engine: await chooseEngine() });
  await objects.add(`tls-creds-x509,id=tls0,dir=${dir},endpoint=client`);
  const creds = objects.tlsCreds("tls0", "client");
  return async (port: number) =>
    await startTls(await connect({ kind: "tcp", host: "127.0.0.1", port }), {
      creds,
      hostname: "localhost",
    });
}

async function log({ dir, scratch }: TunnelCredentials): Promise<void> {
  const dial = await dialler(dir);
  const block = new TextEncoder().encode("a line of what a guest says, as they are\n".repeat(400));
  const write = async (port: number, file: string) => {
    const size = () => {
      try {
        return Deno.statSync(file).size;
      } catch {
        return 0;
      }
    };
    const channel = await dial(port);
    const before = size();
    const total = Math.ceil((LOG_MIB << 20) / block.length) * block.length;
    const start = performance.now();
    for (let done = 0; done < total; done += block.length) await channel.write(block);
    while (size() - before < total) await new Promise((resolve) => setTimeout(resolve, 1));
    const seconds = (performance.now() - start) / 1000;
    await channel.closeWrite().catch(() => {});
    channel.close();
    return total / 1e6 / seconds;
  };
  const [ours, theirs] = [freePort(), freePort()];
  const object = `tls-creds-x509,id=tls0,dir=${dir},endpoint=server`;
  await using _ours = startOurs("chardev/server.ts", [
    ...["--serve", "--object", object, "--backend", `file:${scratch}/ours.log`],
    ...["--chardev", `socket,id=s0,host=127.0.0.1,port=${ours},server=on,tls-creds=tls0`],
  ]);
  await using _theirs = start("socat", [
    "-u",
    `OPENSSL-LISTEN:${theirs},bind=127.0.0.1,reuseaddr,fork,verify=1,cafile=${dir}/ca-cert.pem,` +
    `cert=${dir}/server-cert.pem,key=${dir}/server-key.pem`,
    `OPEN:${scratch}/theirs.log,creat,append`,
  ]);
  await untilOpen(ours);
  await untilOpen(theirs);
  printTable(
    `a guest's output over TLS into a log, ${LOG_MIB} MiB`,
    "MB/s",
    "more",
    await compare([
      { name: "chardev server", run: () => write(ours, `${scratch}/ours.log`) },
      { name: "socat -u OPENSSL-LISTEN", run: () => write(theirs, `${scratch}/theirs.log`) },
    ], ROUNDS),
  );
}

async function handshakes({ dir, scratch }: TunnelCredentials): Promise<void> {
  const dial = await dialler(dir);
  const [ours, theirs] = [freePort(), freePort()];
  const object = `tls-creds-x509,id=tls0,dir=${dir},endpoint=server`;
  await using _ours = startOurs("chardev/server.ts", [
    ...["--serve", "--object", object, "--backend", "null"],
    ...["--chardev", `socket,id=s0,host=127.0.0.1,port=${ours},server=on,tls-creds=tls0`],
  ]);
  using target = echoServer();
  Deno.writeTextFileSync(
    `${scratch}/stunnel.conf`,
    `foreground = yes\npid =\ndebug = 0\n[port]\naccept = 127.0.0.1:${theirs}\n` +
      `connect = 127.0.0.1:${target.addr.port}\nCAfile = ${dir}/ca-cert.pem\n` +
      `cert = ${dir}/server-cert.pem\nkey = ${dir}/server-key.pem\nverifyChain = yes\n`,
  );
  const contestants: Contestant[] = [{ name: "chardev server", run: () => many(ours) }];
  await using stack = new AsyncDisposableStack();
  if (findProgram("stunnel4") !== undefined) {
    stack.use(start("stunnel4", [`${scratch}/stunnel.conf`]));
    await untilOpen(theirs);
    contestants.push({ name: "stunnel4", run: () => many(theirs) });
  }
  await untilOpen(ours);
  printTable(
    "mutual TLS 1.3 handshakes, eight at once, one core for each side",
    "a second",
    "more",
    await compare(contestants, ROUNDS),
  );

  async function many(port: number): Promise<number> {
    const start = performance.now();
    let left = HANDSHAKES;
    const worker = async () => {
      while (left-- > 0) (await dial(port)).close();
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    return HANDSHAKES / ((performance.now() - start) / 1000);
  }
}

async function crowd(dir: string, count: number, chatting: number): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ECHO, dir],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  try {
    const port = new TextDecoder().decode((await reader.read()).value).trim();
    const args = ["run", "-A", "--no-check", MANY, port, String(count), String(chatting), dir];
    const { kib, idle, p50, p99 } = JSON.parse(await mustRun(Deno.execPath(), args));
    console.log(
      `\n${count} TLS serial ports in one process: ${kib.toFixed(0)} KiB each, ` +
        `${idle.toFixed(1)} % of a core at rest`,
    );
    console.log(
      `  the echo of one while ${chatting} others send a line a second: ` +
        `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
    );
  } finally {
    child.kill("SIGKILL");
    await reader.cancel();
    await child.status;
  }
}
