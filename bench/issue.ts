/** Certificates a second: `ca issue` of a fleet against what a user would run instead. */

import { issueTools } from "./_issue_tools.ts";
import { compare, median, mustRun, printTable } from "./measure.ts";

const project = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

/** Hosts in one run of ours; two keys and certificates each. */
const HOSTS = 1000;
/** Certificates in one run of the others, which do not get faster by more. */
const SAMPLE = 20;
const ROUNDS = 3;

/** Fleets whose time for each host should be the same. */
const FLEETS = [100, 1000, 10_000] as const;

/** Hosts with RSA keys, of which a single prime takes longer than all of an EC host. */
const RSA_HOSTS = 50;

/** Issues with ours and the others in turn, then for fleets of several sizes. */
export async function benchIssue(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  try {
    await compareTools(dir);
    await compareFleets(dir);
    await compareRsa(dir);
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

async function compareTools(dir: string): Promise<void> {
  let run = 0;
  const issue = (engine: string) => async () => {
    const pki = `${dir}/pki-${run++}`;
    const ca = (...args: string[]) =>
      mustRun(deno, ["run", "-A", "cli/ca.ts", ...args], {
        cwd: project,
        env: { VIRTCREDS_ENGINE: engine },
      });
    await ca("init", "--dir", pki);
    const inventory = `${dir}/hosts.csv`;
    const hosts = Array.from({ length: HOSTS }, (_, i) => `vm${i}.example`);
    Deno.writeTextFileSync(inventory, ["host", ...hosts].join("\n"));
    const start = performance.now();
    await ca("issue", "--dir", pki, "--inventory", inventory);
    return 2 * HOSTS / (performance.now() - start) * 1000;
  };
  const tools = issueTools(dir);
  for (const tool of tools) await tool.prepare();
  let host = 0;
  const results = await compare([
    { name: `ca issue of ${HOSTS} hosts, gnutls engine, start included`, run: issue("gnutls") },
    { name: `ca issue of ${HOSTS} hosts, platform engine`, run: issue("platform") },
    ...tools.map((tool) => ({
      name: tool.name,
      async run() {
        const start = performance.now();
        for (let i = 0; i < SAMPLE; i++) await tool.issue(`h${host++}`);
        return SAMPLE / (performance.now() - start) * 1000;
      },
    })),
  ], ROUNDS);
  printTable("keys and certificates, EC P-256, durable", "certificates/s", "more", results);
}

interface Run {
  readonly ms: number;
  readonly peakMiB: number;
}

async function runOnce(dir: string, count: number, keyType: string): Promise<Run> {
  const pki = Deno.makeTempDirSync({ dir });
  const file = new URL("_issue_run.ts", import.meta.url).pathname;
  const text = await mustRun(deno, ["run", "-A", file, pki, String(count), keyType], {
    cwd: project,
  });
  return JSON.parse(text);
}

/** Time for each host and memory, whatever the number of hosts. */
async function compareFleets(dir: string): Promise<void> {
  console.log("\nissuing for fleets, EC P-256, without the start");
  for (const count of FLEETS) {
    const runs: Run[] = [];
    for (let round = 0; round < (count > 1000 ? 1 : ROUNDS); round++) {
      runs.push(await runOnce(dir, count, "ec-p256"));
    }
    const ms = median(runs.map((run) => run.ms));
    const peak = Math.max(...runs.map((run) => run.peakMiB));
    const [host, rate] = [(ms / count).toFixed(2), (2 * count / ms * 1000).toFixed(0)];
    console.log(
      `  ${String(count).padStart(6)} hosts  ${host} ms a host  ${rate} certificates/s` +
        `  ${peak.toFixed(0)} MiB at most`,
    );
  }
}

async function compareRsa(dir: string): Promise<void> {
  const key = `${dir}/rsa.pem`;
  const results = await compare(
    [
      {
        name: `ca issue of ${RSA_HOSTS} hosts, RSA-2048`,
        run: async () => 2 * RSA_HOSTS / (await runOnce(dir, RSA_HOSTS, "rsa-2048")).ms * 1000,
      },
      {
        name: "certtool, the keys alone",
        async run() {
          const start = performance.now();
          for (let i = 0; i < SAMPLE; i++) {
            await mustRun("certtool", [
              "--generate-privkey",
              "--rsa",
              "--bits=2048",
              "--outfile",
              key,
            ]);
          }
          return SAMPLE / (performance.now() - start) * 1000;
        },
      },
    ],
    ROUNDS,
    false,
  );
  printTable("keys and certificates, RSA-2048", "certificates/s", "more", results);
}

if (import.meta.main) await benchIssue();
