/** Both ends of a measured migration: a QEMU or a program of ours, each with its own costs. */

import { formatAddress } from "../channel/mod.ts";
import { migrationEnd } from "../migration/mod.ts";
import { incomingAddress, type Qemu, startQemu } from "../tests/support/qemu.ts";
import { type Cost, meter } from "./_meter.ts";

const project = new URL("..", import.meta.url).pathname;
const FAST = 50_000_000_000;
/** ms that the slowest migration may take. */
const LONGEST = 600_000;

/** What every run has. */
export interface Bench {
  /** MiB of memory. */
  readonly ram: number;
  /** File of random bytes, at least so many, that the guest's memory is a private copy of. */
  readonly memory: string;
  /** Credentials directories. */
  readonly source: string;
  readonly target: string;
  /** A folder on a disk. */
  readonly disk: string;
}

/** A destination that listens. */
export interface Destination extends AsyncDisposable {
  readonly uri: string;
  /** Settles when it has all, and stored it where it does that. */
  done(): Promise<Cost>;
}

/** What a source tells when it is through. */
export interface Sent {
  /** By its own clock. */
  readonly ms: number;
  /** When it was told to start, as of `performance.now()`. */
  readonly began: number;
  readonly cost: Cost;
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

/** How a target of ours is started, beside what all have. */
export interface TargetSettings {
  readonly more?: readonly string[];
  readonly engine?: string;
}

/** A target of ours: into a file, or verified and dropped. */
export async function ourTarget(
  bench: Bench,
  channels: number,
  { more = ["--once"], engine = "gnutls" }: TargetSettings = {},
): Promise<Destination & { readonly cost: () => Cost }> {
  const program = start("target", [
    ...object(bench.target, "server"),
    ...flags(channels),
    ...["--incoming", "tcp:127.0.0.1:0"],
    ...more,
  ], engine);
  const uri = await program.says(/listening on (tcp:\S+)/);
  return {
    uri,
    cost: program.cost,
    done: () => program.done,
    [Symbol.asyncDispose]: () => program.end(),
  };
}

/**
 * A QEMU that waits.
 *
 * @param plain The port to listen on without TLS.
 */
export async function qemuTarget(
  bench: Bench,
  channels: number,
  plain?: number,
): Promise<Destination> {
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
  const costs = meter(qemu.pid);
  await setUp(qemu, channels);
  if (plain === undefined) {
    await qemu.qmp.execute("migrate-set-parameters", { "tls-creds": "tls0" });
  }
  await qemu.qmp.execute("migrate-incoming", { uri: `tcp:127.0.0.1:${plain ?? 0}` });
  return {
    uri: formatAddress(await incomingAddress(qemu)),
    async done() {
      for (;;) {
        const { status } = await qemu.qmp.execute("query-status") as { status: string };
        if (status !== "inmigrate") return costs.read();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    async [Symbol.asyncDispose]() {
      costs[Symbol.dispose]();
      await qemu[Symbol.asyncDispose]();
    },
  };
}

/** Migrates a stopped guest from a QEMU, with TLS of its own or without. */
export async function qemuSource(
  bench: Bench,
  channels: number,
  uri: string,
  tls = true,
): Promise<Sent> {
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
  using costs = meter(qemu.pid);
  await setUp(qemu, channels);
  const secure = tls ? { "tls-creds": "tls0", "tls-hostname": "127.0.0.1" } : {};
  await qemu.qmp.execute("migrate-set-parameters", { ...secure, "max-bandwidth": FAST });
  const began = performance.now();
  await qemu.qmp.execute("migrate", { uri });
  const end = await migrationEnd(qemu.qmp, { timeout: LONGEST });
  if (end.status !== "completed") throw new Error(`${end.status}: ${end["error-desc"]}`);
  return { ms: end["total-time"]!, began, cost: costs.read() };
}

/** Sends a guest of ours that a QEMU takes too. The digest that it makes afterwards is no part. */
export async function ourSource(bench: Bench, channels: number, uri: string): Promise<Sent> {
  const began = performance.now();
  await using program = start("source", [
    ...object(bench.source, "client"),
    ...flags(channels),
    ...["--parameter", "max-bandwidth=0", "--guest-ram", `${bench.ram}M`],
    ...["--guest-machine", "pc-i440fx-7.2", "--guest-block", "m0", "--migrate", uri, "--json"],
  ]);
  const seconds = await program.says(/in (\d+\.\d+) s \(/);
  const cost = program.cost();
  await program.done;
  return { ms: Number(seconds) * 1000, began, cost };
}

async function setUp({ qmp }: Qemu, channels: number): Promise<void> {
  if (channels === 1) return;
  const capabilities = [{ capability: "multifd", state: true }];
  await qmp.execute("migrate-set-capabilities", { capabilities });
  await qmp.execute("migrate-set-parameters", { "multifd-channels": channels });
}

interface Running extends AsyncDisposable {
  says(pattern: RegExp): Promise<string>;
  cost(): Cost;
  readonly done: Promise<Cost>;
  end(): Promise<void>;
}

function start(name: "source" | "target", args: readonly string[], engine = "gnutls"): Running {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `migration/${name}.ts`, ...args],
    cwd: project,
    env: { VIRTCREDS_ENGINE: engine },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const costs = meter(child.pid);
  let text = "";
  let ended = false;
  const waiting: (() => void)[] = [];
  const reading = (async () => {
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (const wake of waiting) wake();
    }
  })();
  const done = child.status.then(async ({ success }) => {
    costs[Symbol.dispose]();
    ended = true;
    await reading;
    for (const wake of waiting) wake();
    if (!success) throw new Error(text);
    return costs.read();
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
          else return;
          waiting.splice(waiting.indexOf(look), 1);
        };
        waiting.push(look);
        look();
      }),
    cost: costs.read,
    done,
    end,
    [Symbol.asyncDispose]: end,
  };
}
