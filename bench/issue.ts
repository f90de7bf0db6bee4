/** Certificates a second: `ca issue` against a loop of certtool, keys and files included. */

import { compare, mustRun, printTable } from "./measure.ts";

const project = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

/** Hosts in one run of ours; two certificates each. */
const HOSTS = 100;
/** Certificates in one run of certtool's loop, which does not get faster by more. */
const CERTTOOL = 20;

/** Issues hosts with both, in turn, and prints certificates a second. */
export async function benchIssue(): Promise<void> {
  const dir = Deno.makeTempDirSync({ prefix: "virtcreds-bench-" });
  const ca = (engine: string, ...args: string[]) =>
    mustRun(deno, ["run", "-A", "cli/ca.ts", ...args], {
      cwd: project,
      env: { VIRTCREDS_ENGINE: engine },
    });
  await mustRun("certtool", ["--generate-privkey", "--ecc", "--outfile", `${dir}/ca-key.pem`]);
  Deno.writeTextFileSync(`${dir}/ca.info`, "cn = bench\nca\ncert_signing_key\n");
  Deno.writeTextFileSync(
    `${dir}/host.info`,
    "cn = host\ndns_name = host\nsigning_key\ntls_www_server\n",
  );
  await mustRun("certtool", [
    "--generate-self-signed",
    "--load-privkey",
    `${dir}/ca-key.pem`,
    "--template",
    `${dir}/ca.info`,
    "--outfile",
    `${dir}/ca.pem`,
  ]);
  let run = 0;
  const issue = (engine: string) => async () => {
    const pki = `${dir}/pki-${run++}`;
    await ca(engine, "init", "--dir", pki);
    const hosts = Array.from({ length: HOSTS }, (_, i) => `vm${i}.example`);
    const start = performance.now();
    await ca(engine, "issue", "--dir", pki, ...hosts);
    return 2 * HOSTS / (performance.now() - start) * 1000;
  };
  const results = await compare([
    { name: `ca issue of ${HOSTS} hosts, gnutls engine, start included`, run: issue("gnutls") },
    { name: `ca issue of ${HOSTS} hosts, platform engine`, run: issue("platform") },
    {
      name: "certtool loop (key and certificate)",
      async run() {
        const start = performance.now();
        for (let i = 0; i < CERTTOOL; i++) {
          await mustRun("certtool", [
            "--generate-privkey",
            "--ecc",
            "--outfile",
            `${dir}/key-${i}.pem`,
          ]);
          await mustRun("certtool", [
            "--generate-certificate",
            "--load-privkey",
            `${dir}/key-${i}.pem`,
            "--load-ca-certificate",
            `${dir}/ca.pem`,
            "--load-ca-privkey",
            `${dir}/ca-key.pem`,
            "--template",
            `${dir}/host.info`,
            "--outfile",
            `${dir}/cert-${i}.pem`,
          ]);
        }
        return CERTTOOL / (performance.now() - start) * 1000;
      },
    },
  ], 5);
  Deno.removeSync(dir, { recursive: true });
  printTable("issuing, EC P-256, durable", "certificates/s", "more", results);
}

if (import.meta.main) await benchIssue();
