/** Both ends of a measured migration: a QEMU or a program of ours, each with its own costs. */

import { formatAddress } from "../channel/mod.ts";
import { migrationEnd } from "../migration/mod.ts";
import { incomingAddress, type Qemu, startQemu } from "../tests/support/qemu.ts";

const project = new URL("..", import.meta.url).pathname;
const FAST = 50_000_000_000;

/** What every run has. */
export interface Bench {
  /** MiB of memory. */
  readonly ram: number;
  /** File of random bytes that the guest's memory is a private copy of. */
  readonly memory: string;
  /** Credentials directories. */
  readonly source: string;
  readonly target: string;
}

/** What a program of ours has taken. */
export interface Cost {
  /** Seconds of the processor. */
  readonly cpu: number;
  /** MiB of memory at most. */
  readonly peak: number;
}

/** A destination that listens. */
export interface Destination extends AsyncDisposable {
  readonly uri: string;
  /** Settles when it has all; gives its costs where it is ours. */
  readonly done: Promise<Cost | undefined>;
}

const flags = (channels: number): string[] =>
  channels === 1 ? [] : [
    "--capability",
    "multifd=on",
    "--parameter",
    `multifd-channels=${channels}`,
  ];

const object = (dir: string, endpoint: string): string[] => [
  "--object",
  `tls-creds-x509,id=tls0,dir=${dir},endpoint=${endpoint}`,
  "--tls-creds",
  "tls0",
];

/** A target of ours: into a file, into memory, or verified and dropped. */
export async function ourTarget(
  bench: Bench,
  channels: number,
  more: readonly string[] = [],
  engine = "gnutls",
): Promise<Destination> {
  const program = start("target", [
    ...object(bench.target, "server"),
    ...flags(channels),
    ...["--once", "--incoming", "tcp:127.0.0.1:0"],
    ...more,
  ], engine);
  const uri = await program.says(/listening on (tcp:\S+)/);
  return { uri, done: program.done, [Symbol.asyncDispose]: () => program.end() };
}

/** A QEMU that waits. */
export async function qemuTarget(bench: Bench, channels: number): Promise<Destination> {
  const qemu = await startQemu({
    machine: "pc-i440fx-7.2,memory-backend=m0",
    memory: `${bench.ram}M`,
    args: [
      "-S",
      "-object",
      `memory-backend-ram,id=m0,size=${bench.ram}M`,
      "-object",
      `tls-creds-x509,id=tls0,dir=${bench.target},endpoint=server`,
      "-incoming",
      "defer",
    ],
  });
  await setUp(qemu, channels);
  await qemu.qmp.execute("migrate-set-parameters", { "tls-creds": "tls0" });
  await qemu.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
  const uri = formatAddress(await incomingAddress(qemu));
  return {
    uri,
    done: Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => qemu[Symbol.asyncDispose](),
  };
}

/** Migrates a stopped guest from a QEMU; gives ms by QEMU's own clock. */
export async function qemuSource(
  bench: Bench,
  channels: number,
  uri: string,
  tls = true,
): Promise<number> {
  await using qemu = await startQemu({
    machine: "pc-i440fx-7.2,memory-backend=m0",
    memory: `${bench.ram}M`,
    args: [
      "-S",
      "-object",
      `memory-backend-file,id=m0,size=${bench.ram}M,mem-path=${bench.memory},share=off`,
      "-object",
      `tls-creds-x509,id=tls0,dir=${bench.source},endpoint=client`,
    ],
  });
  await setUp(qemu, channels);
  const secure = tls ? { "tls-creds": "tls0", "tls-hostname": "127.0.0.1" } : {};
  await qemu.qmp.execute("migrate-set-parameters", { ...secure, "max-bandwidth": FAST });
  await qemu.qmp.execute("migrate", { uri });
  const end = await migrationEnd(qemu.qmp, { timeout: 300_000 });
  if (end.status !== "completed") throw new Error(`${end.status}: ${end["error-desc"]}`);
  return end["total-time"]!;
}

/** Sends a guest of ours that a QEMU takes too; gives ms by its own clock. */
export async function ourSource(
  bench: Bench,
  channels: number,
  uri: string,
): Promise<{ ms: number; cost: Cost }> {
  await using program = start("source", [
    ...object(bench.source, "client"),
    ...flags(channels),
    ...["--parameter", "max-bandwidth=0", "--guest-ram", `${bench.ram}M`],
    ...["--guest-machine", "pc-i440fx-7.2", "--guest-block", "m0", "--migrate", uri, "--json"],
  ]);
  const time = program.says(/in (\d+\.\d+) s \(/);
  const cost = await program.done;
  return { ms: Number(await time) * 1000, cost };
}

async function setUp({ qmp }: Qemu, channels: number): Promise<void> {
  if (channels === 1) return;
  const capabilities = [{ capability: "multifd", state: true }];
  await qmp.execute("migrate-set-capabilities", { capabilities });
  await qmp.execute("migrate-set-parameters", { "multifd-channels": channels });
}

interface Running extends AsyncDisposable {
  says(pattern: RegExp): Promise<string>;
  readonly done: Promise<Cost>;
  end(): Promise<void>;
}

function start(name: "source" | "target", args: readonly string[], engine = "gnutls"): Running {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", `migration/${name}.ts`, ...args],
    cwd: project,
    env: { VIRTCREDS_ENGINE: engine },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let text = "";
  let [cpu, peak, ended] = [0, 0, false];
  const waiting: (() => void)[] = [];
  const reading = (async () => {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (const wake of waiting) wake();
    }
  })();
  const look = () => {
    try {
      const stat = Deno.readTextFileSync(`/proc/${child.pid}/stat`).split(") ")[1]!.split(" ");
      // Clock ticks of 10 ms: user and system (proc(5), fields 14 and 15).
      cpu = Math.max(cpu, (Number(stat[11]) + Number(stat[12])) / 100);
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch { /* it has just ended */ }
  };
  const timer = setInterval(look, 20);
  const done = child.status.then(async ({ success }) => {
    clearInterval(timer);
    ended = true;
    await reading;
    for (const wake of waiting) wake();
    if (!success) throw new Error(text);
    return { cpu, peak };
  });
  done.catch(() => {});
  const end = async () => {
    if (!ended) child.kill("SIGTERM");
    await child.status;
  };
  return {
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const match = pattern.exec(text);
          if (match !== null) resolve(match[1]!);
          else if (ended) reject(new Error(text));
        };
        waiting.push(look);
        look();
      }),
    done,
    end,
    [Symbol.asyncDispose]: end,
  };
}
