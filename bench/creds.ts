/** What it costs to judge credentials: directories, fleets, a start, a handshake. */

import { compare, milliseconds, mustRun, printTable } from "./measure.ts";

const project = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

/** Directories in one run of ours. */
const DIRECTORIES = 1000;
/** Directories in one run of a loop of programs, which gets no faster by more. */
const SAMPLE = 25;
/** Hosts of the matrix. */
const FLEET = 200;
/** Seconds that s_time dials a server. */
const DIAL = 2;

/** Measures all of it. */
export async function benchCreds(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  try {
    await prepare(dir);
    await check(dir);
    await memory(dir);
    await matrix(dir);
    await start(dir);
    await handshakes(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

const creds = (dir: string, args: readonly string[]) =>
  new Deno.Command(deno, {
    args: ["run", "-A", "--config", `${project}deno.json`, `${project}cli/creds.ts`, ...args],
    cwd: dir,
    stdin: "null",
    stdout: "null",
    stderr: "null",
  });

async function prepare(dir: string): Promise<void> {
  const rows = Array.from(
    { length: DIRECTORIES },
    (_, i) =>
      `vm${i}.example,10.0.${i >> 8}.${i & 255};fd00::${(i + 1).toString(16)},${
        ["7.2.22", "8.2.0", "9.2.0", "10.2"][i % 4]
      }`,
  );
  const write = (name: string, count: number) =>
    Deno.writeTextFileSync(`${dir}/${name}`, `host,ip,qemu\n${rows.slice(0, count).join("\n")}\n`);
  write("all.csv", DIRECTORIES);
  write("fleet.csv", FLEET);
  const ca = (...args: string[]) =>
    mustRun(
      deno,
      ["run", "-A", "--config", `${project}deno.json`, `${project}cli/ca.ts`, ...args],
      {
        cwd: dir,
      },
    );
  await ca("init");
  await ca("issue", "--inventory", "all.csv");
  await ca("issue", "localhost", "--ip", "127.0.0.1");
  // A QEMU server without it computes a group at each start, which would be measured instead.
  const dh = await mustRun("certtool", ["--get-dh-params", "--sec-param=medium"]);
  for (let i = 0; i < SAMPLE; i++) Deno.writeTextFileSync(`${hostOf(dir, i)}/dh-params.pem`, dh);
}

const hostOf = (dir: string, i: number): string => `${dir}/pki/hosts/vm${i}.example`;

async function check(dir: string): Promise<void> {
  const dirs = Array.from({ length: DIRECTORIES }, (_, i) => hostOf(dir, i));
  const ours = (...more: string[]) => async () => {
    const took = await milliseconds(() => creds(dir, ["check", ...dirs, ...more]).output());
    return DIRECTORIES / took * 1000;
  };
  const loop = (work: (path: string) => Promise<unknown>) => async () => {
    const took = await milliseconds(async () => {
      for (let i = 0; i < SAMPLE; i++) await work(hostOf(dir, i));
    });
    return SAMPLE / took * 1000;
  };
  const roles = ["server", "client"] as const;
  const results = await compare([
    { name: `creds check of ${DIRECTORIES}, both roles, all lines of QEMU`, run: ours() },
    {
      name: "the same with --libvirt all --qemu all",
      run: ours("--libvirt", "all", "--qemu", "all"),
    },
    { name: "the same with --strict", run: ours("--strict") },
    {
      name: "loop of qemu-img, both roles, one QEMU",
      run: loop(async (path) => {
        for (const role of roles) {
          await mustRun("qemu-img", [
            ...["info", "--object", `tls-creds-x509,id=t,dir=${path},endpoint=${role}`],
            ...["--image-opts", "driver=null-co,size=1M"],
          ]);
        }
      }),
    },
    {
      name: "loop of certtool --verify, both roles",
      run: loop(async (path) => {
        for (const role of roles) {
          await mustRun("certtool", [
            ...["--verify", "--load-ca-certificate", `${path}/ca-cert.pem`],
            ...["--infile", `${path}/${role}-cert.pem`],
          ]);
        }
      }),
    },
  ], 5);
  printTable("judging directories, start included", "directories/s", "more", results);
}

/** The most memory in MiB that a run had, by the kernel's own mark. */
async function memory(dir: string): Promise<void> {
  const peak = async (count: number) => {
    const dirs = Array.from({ length: DIRECTORIES }, (_, i) => hostOf(dir, i));
    // The same ones over and over: files in the page cache are not its memory.
    const all = Array.from({ length: count }, (_, i) => dirs[i % DIRECTORIES]!);
    const child = creds(dir, ["check", ...all, "--format", "json"]).spawn();
    let most = 0;
    const watch = setInterval(() => {
      try {
        const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
        most = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? most);
      } catch { /* it has ended */ }
    }, 10);
    await child.status;
    clearInterval(watch);
    return most / 1024;
  };
  const results = await compare(
    [DIRECTORIES, 10 * DIRECTORIES].map((count) => ({
      name: `${count} directories`,
      run: () => peak(count),
    })),
    3,
    false,
  );
  printTable("memory of creds check", "MiB", "less", results);
}

async function matrix(dir: string): Promise<void> {
  const pairs = FLEET * (FLEET - 1);
  const ours = (...more: string[]) => () =>
    milliseconds(() => creds(dir, ["matrix", "--inventory", "fleet.csv", ...more]).output());
  const socket = `${dir}/nbd`;
  const server = new Deno.Command("qemu-nbd", {
    args: [
      ...["-k", socket, "--object", `tls-creds-x509,id=t,dir=${hostOf(dir, 0)},endpoint=server`],
      ...["--tls-creds", "t", "--persistent", "--image-opts", "driver=null-co,size=1M"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    await untilThere(socket);
    const results = await compare([
      { name: `creds matrix of ${FLEET} hosts by all names, start included`, run: ours() },
      { name: "the same with --json", run: ours("--json") },
      { name: "the same with --html", run: ours("--html", "m.html") },
      {
        name: "real handshakes, one a pair by one name, scaled up",
        run: async () =>
          pairs / SAMPLE * await milliseconds(async () => {
            for (let i = 1; i <= SAMPLE; i++) {
              await mustRun("qemu-img", [
                ...[
                  "info",
                  "--object",
                  `tls-creds-x509,id=t,dir=${hostOf(dir, i)},endpoint=client`,
                ],
                "--image-opts",
                `driver=nbd,server.type=unix,server.path=${socket},tls-creds=t,tls-hostname=vm0.example`,
              ]);
            }
          }),
      },
    ], 5);
    printTable(`all ${pairs} ordered pairs`, "ms", "less", results);
  } finally {
    server.kill("SIGTERM");
    await server.status;
  }
}

async function untilThere(path: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (await Deno.stat(path).catch(() => undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${path} never came`);
}

async function start(dir: string): Promise<void> {
  const bundle = `${dir}/virtcreds.js`;
  await mustRun(deno, ["run", "-A", "cli/install.ts", "--out", bundle], { cwd: project });
  const one = hostOf(dir, 0);
  const run = (program: string, args: readonly string[]) => () =>
    milliseconds(() =>
      new Deno.Command(program, { args: [...args], stdout: "null", stderr: "null" }).output()
    );
  const file = ["run", "--no-config", "-A", bundle, "creds"];
  const results = await compare([
    { name: "virtcreds creds check DIR, both roles", run: run(deno, [...file, "check", one]) },
    { name: "virtcreds creds --help", run: run(deno, [...file, "--help"]) },
    {
      name: "creds check DIR from a checkout",
      run: () => milliseconds(() => creds(dir, ["check", one]).output()),
    },
    { name: "deno eval 0", run: run(deno, ["eval", "0"]) },
    { name: "certtool --version", run: run("certtool", ["--version"]) },
    { name: "virt-pki-validate", run: run("virt-pki-validate", []) },
  ], 11);
  printTable("start", "ms", "less", results);
}

/** A TLS server in a process of its own. */
interface Server extends AsyncDisposable {
  readonly port: number;
}

async function handshakes(dir: string): Promise<void> {
  const host = `${dir}/pki/hosts/localhost`;
  for (const { title, flags, isMutual } of DIALS) {
    await using gnutls = await ours("gnutls", host, isMutual);
    await using platform = await ours("platform", host, isMutual);
    await using serv = await gnutlsServ(host, isMutual);
    await using openssl = await opensslServer(host, isMutual);
    const cert = isMutual
      ? ["-cert", `${host}/client-cert.pem`, "-key", `${host}/client-key.pem`]
      : [];
    const run = ({ port }: Server) => () => dial(port, [...flags, ...cert]);
    const results = await compare(
      [
        { name: "gnutls engine", run: run(gnutls) },
        { name: "platform engine", run: run(platform) },
        { name: "gnutls-serv", run: run(serv) },
        { name: "openssl s_server", run: run(openssl) },
      ],
      3,
      false,
    );
    printTable(`handshakes of a server, one client, ${title}`, "1/s", "more", results);
  }
}

/** A QEMU server resumes nothing, and neither does ours: who asks for it gets a full handshake. */
const DIALS = [
  { title: "full, mutual, TLS 1.3", flags: ["-new", "-tls1_3"], isMutual: true },
  { title: "full, mutual, TLS 1.2", flags: ["-new", "-tls1_2"], isMutual: true },
  // s_server resumes no session of a client that it verified.
  { title: "full, of the server alone, TLS 1.2", flags: ["-new", "-tls1_2"], isMutual: false },
  { title: "resumed where it may be, TLS 1.2", flags: ["-reuse", "-tls1_2"], isMutual: false },
] as const;

function ours(engine: string, host: string, isMutual: boolean): Promise<Server> {
  const program = ["run", "-A", "--no-check", `${project}bench/_tls_accept.ts`];
  return serve(deno, [...program, engine, host, isMutual ? "on" : "off"], /^(\d+)\n/);
}

function gnutlsServ(host: string, isMutual: boolean): Promise<Server> {
  // It cannot tell which free port it was given, so it gets one that is likely free.
  const port = 20_000 + crypto.getRandomValues(new Uint16Array(1))[0]! % 40_000;
  return serve(
    "gnutls-serv",
    [
      ...["-p", String(port), "-q", "--x509cafile", `${host}/ca-cert.pem`],
      ...["--x509certfile", `${host}/server-cert.pem`, "--x509keyfile", `${host}/server-key.pem`],
      isMutual ? "--require-client-cert" : "--disable-client-cert",
    ],
    /(?:)/,
    port,
  );
}

function opensslServer(host: string, isMutual: boolean): Promise<Server> {
  return serve("openssl", [
    ...["s_server", "-accept", "127.0.0.1:0", "-CAfile", `${host}/ca-cert.pem`],
    ...["-cert", `${host}/server-cert.pem`, "-key", `${host}/server-key.pem`],
    ...(isMutual ? ["-Verify", "1"] : []),
  ], /ACCEPT \S+:(\d+)/);
}

async function serve(
  program: string,
  args: readonly string[],
  ready: RegExp,
  port?: number,
): Promise<Server> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  let text = "";
  let found: RegExpExecArray | null = null;
  while (port === undefined && (found = ready.exec(text)) === null) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${program} ended: ${text}`);
    text += new TextDecoder().decode(value);
  }
  const draining = (async () => {
    while (!(await reader.read()).done);
  })();
  if (port !== undefined) await untilListening(port);
  return {
    port: port ?? Number(found![1]),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
      await draining;
      await child.stdin.close().catch(() => {});
    },
  };
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  throw new Error(`nobody listens on ${port}`);
}

async function dial(port: number, flags: readonly string[]): Promise<number> {
  const said = await mustRun("openssl", [
    ...["s_time", "-connect", `127.0.0.1:${port}`, "-time", String(DIAL), ...flags],
  ]);
  const [, count, seconds] = /(\d+) connections in (\d+) real seconds/.exec(said)!;
  return Number(count) / Number(seconds);
}

if (import.meta.main) await benchCreds();
