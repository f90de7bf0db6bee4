import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CaError, initAuthority, issueHost } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = await chooseEngine();

/** What `ca issue` and `ca init` advise. */
async function hintsFor(dir: string): Promise<readonly [issue: string, init: string]> {
  const issue = await assertRejects(() => issueHost({ dir, engine, host: "h" }), CaError);
  assertEquals(issue.code, "CA_MISSING");
  const init = await assertRejects(() => initAuthority({ dir, engine }), CaError);
  assertEquals(init.code, "CA_EXISTS");
  return [issue.hints.join("\n"), init.hints.join("\n")];
}

Deno.test("a CA whose certificate is gone is brought back by what the hints say", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [] });
  const kept = Deno.readTextFileSync(`${dir}/ca-cert.pem`);
  Deno.removeSync(`${dir}/ca-cert.pem`);
  for (const hints of await hintsFor(dir)) {
    assertStringIncludes(hints, `put its certificate back as ${dir}/ca-cert.pem`);
  }
  Deno.writeTextFileSync(`${dir}/ca-cert.pem`, kept);
  await issueHost({ dir, engine, host: "h" });

  Deno.removeSync(`${dir}/ca-cert.pem`);
  const [hints, same] = await hintsFor(dir);
  assertEquals(same, hints);
  const copy = /: cp (\S+) (\S+)/.exec(hints)!;
  assertEquals(copy.slice(1), [`${dir}/hosts/h/ca-cert.pem`, `${dir}/ca-cert.pem`]);
  Deno.copyFileSync(copy[1]!, copy[2]!);
  await issueHost({ dir, engine, host: "h" });
});
