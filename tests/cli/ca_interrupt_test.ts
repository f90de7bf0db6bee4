import { assert, assertEquals } from "@std/assert";
import { PROJECT, virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("ca issue that Ctrl-C stops takes back what it has staged, and ends with 130", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  assertEquals((await virtcreds(["ca", "init"], { cwd })).code, 0);
  const hosts = Array.from({ length: 100 }, (_, i) => `vm${i}`);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", `--config=${PROJECT}/deno.json`, `${PROJECT}/cli/ca.ts`, "issue"],
      // Keys that take their time.
      ...["--key-type", "rsa-3072", ...hosts],
    ],
    cwd,
    env: { INIT_CWD: cwd },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  const staging = `${cwd}/pki/.new`;
  const names = (dir: string) => {
    try {
      return [...Deno.readDirSync(dir)].map(({ name }) => name);
    } catch {
      return [];
    }
  };
  while (names(staging).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill("SIGINT");
  assertEquals((await child.status).code, 130);
  assertEquals(names(`${cwd}/pki`).filter((name) => name === ".new" || name === ".journal"), []);
  assertEquals(names(`${cwd}/pki/hosts`), []);
  assert(names(`${cwd}/pki`).includes("ca-key.pem"));
});
