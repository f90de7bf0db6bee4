/**
 * A guest of 1 GiB of random memory over mutual TLS: QEMU to our target, against QEMU to QEMU.
 *
 * `VIRTCREDS_BENCH_RAM` sets another size in MiB.
 */

import { makePki } from "../tests/support/pki.ts";
import { incomingAddress, startQemu } from "../tests/support/qemu.ts";
import { migrationEnd } from "../migration/mod.ts";
import { compare, type Contestant, printTable } from "./measure.ts";

const project = new URL("..", import.meta.url).pathname;
const RAM = Number(Deno.env.get("VIRTCREDS_BENCH_RAM") ?? 1024);
const ROUNDS = 3;

/** Runs both in turn and prints MiB a second of guest memory. */
export async function benchMigration(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-", dir: "/dev/shm" });
  try {
    const memory = `${dir}/ram`;
    writeRandom(memory);
    const pki = await makePki(`${dir}/pki`, {
      hosts: [{ name: "source" }, { name: "target", ip: ["127.0.0.1"] }],
    });
    const bench = { dir, memory, source: pki.host("source"), target: pki.host("target") };
    const results = await compare(
      [
        ours(bench, "gnutls", `${dir}/guest.mig`),
        ours(bench, "gnutls"),
        ours(bench, "platform", `${dir}/guest.mig`),
        toQemu(bench),
      ],
      ROUNDS,
      false,
    );
    printTable(`a guest of ${RAM} MiB from QEMU over mutual TLS`, "MiB/s", "more", results);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

interface Bench {
  readonly dir: string;
  /** File of random bytes that the guest's memory is a private copy of. */
  readonly memory: string;
  /** Credentials directories. */
  readonly source: string;
  readonly target: string;
}

function ours(bench: Bench, engine: string, out?: string): Contestant {
  return {
    name: `QEMU → our target, ${
      out === undefined ? "verified and dropped" : "kept in a file"
    }, ${engine}`,
    async run() {
      const child = new Deno.Command(Deno.execPath(), {
        args: [
          "run",
          "-A",
          "migration/target.ts",
          "--once",
          "--object",
          `tls-creds-x509,id=tls0,dir=${bench.target},endpoint=server`,
          "--tls-creds",
          "tls0",
          "--incoming",
          "tcp:127.0.0.1:0",
          ...(out === undefined ? [] : ["--out", out]),
        ],
        cwd: project,
        env: { VIRTCREDS_ENGINE: engine },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const { promise: port, resolve } = Promise.withResolvers<string>();
      const watch = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
        let text = "";
        for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
          text += chunk;
          const match = /tcp:127\.0\.0\.1:(\d+)/.exec(text);
          if (match !== null) resolve(match[1]!);
        }
        return text;
      };
      const output = Promise.all([watch(child.stdout), watch(child.stderr)]);
      const rate = await migrate(bench, `tcp:127.0.0.1:${await port}`);
      const { success } = await child.status;
      if (!success) throw new Error((await output).join(""));
      return rate;
    },
  };
}

function toQemu(bench: Bench): Contestant {
  return {
    name: "QEMU → QEMU",
    async run() {
      await using destination = await startQemu({
        machine: "pc,memory-backend=m0",
        memory: `${RAM}M`,
        args: [
          "-object",
          `memory-backend-ram,id=m0,size=${RAM}M`,
          "-object",
          `tls-creds-x509,id=tls0,dir=${bench.target},endpoint=server`,
          "-incoming",
          "defer",
        ],
      });
      await destination.qmp.execute("migrate-set-parameters", { "tls-creds": "tls0" });
      await destination.qmp.execute("migrate-incoming", { uri: "tcp:127.0.0.1:0" });
      const address = await incomingAddress(destination);
      if (address.kind !== "tcp") throw new Error("it listens elsewhere");
      return await migrate(bench, `tcp:127.0.0.1:${address.port}`);
    },
  };
}

/** Migrates a stopped guest and gives MiB of its memory a second, by QEMU's own clock. */
async function migrate(bench: Bench, uri: string): Promise<number> {
  await using source = await startQemu({
    machine: "pc,memory-backend=m0",
    memory: `${RAM}M`,
    args: [
      "-S",
      "-object",
      `memory-backend-file,id=m0,size=${RAM}M,mem-path=${bench.memory},share=off`,
      "-object",
      `tls-creds-x509,id=tls0,dir=${bench.source},endpoint=client`,
    ],
  });
  await source.qmp.execute("migrate-set-parameters", {
    "tls-creds": "tls0",
    "tls-hostname": "127.0.0.1",
    "max-bandwidth": 50_000_000_000,
  });
  await source.qmp.execute("migrate", { uri });
  const end = await migrationEnd(source.qmp, { timeout: 300_000 });
  if (end.status !== "completed") throw new Error(`${end.status}: ${end["error-desc"]}`);
  return RAM / end["total-time"]! * 1000;
}

function writeRandom(file: string): void {
  using handle = Deno.openSync(file, { write: true, createNew: true });
  const block = new Uint8Array(1024 * 1024);
  for (let i = 0; i < RAM; i++) {
    for (let at = 0; at < block.length; at += 65_536) {
      crypto.getRandomValues(block.subarray(at, at + 65_536));
    }
    handle.writeSync(block);
  }
}

if (import.meta.main) await benchMigration();
