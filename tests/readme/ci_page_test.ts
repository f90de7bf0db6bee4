// The workflow, the pipeline and the hooks of docs/ci.md, taken from the page and run.

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml";
import { join } from "@std/path";
import { type Finished, PROJECT, run, virtcreds } from "../support/command.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const PAGE = Deno.readTextFileSync(join(PROJECT, "docs/ci.md"));

/** The block of a kind that has a text in it. */
function block(kind: string, text: string): string {
  const blocks = [...PAGE.matchAll(new RegExp(`^\`\`\`${kind}\n([^]*?)^\`\`\`$`, "gm"))];
  const found = blocks.map((match) => match[1]!).filter((one) => one.includes(text));
  assertEquals(found.length, 1, `${found.length} blocks of ${kind} have ${text}`);
  return found[0]!;
}

/** A git repository of credentials with the tool in it, as the page has it. */
async function makeRepository(dir: string): Promise<void> {
  await makePki(`${dir}/pki`, {
    hosts: [{ name: "vm1.example", days: 300 }, { name: "vm2.example", days: 300 }],
  });
  Deno.mkdirSync(`${dir}/tools`);
  const made = await virtcreds(["install", "--out", `${dir}/tools/virtcreds`]);
  assertEquals(made.code, 0, made.stderr);
  for (
    const args of [["init", "-q"], ["config", "user.name", "t"], ["config", "user.email", "t"]]
  ) {
    assertEquals((await run("git", args, { cwd: dir })).code, 0);
  }
}

/** Puts an expired set in the place of a host's. */
async function spoil(dir: string, host: string): Promise<void> {
  const late = await makePki(`${dir}/.late`, { hosts: [{ name: host, clock: daysFromNow(-400) }] });
  Deno.removeSync(`${dir}/pki/hosts/${host}`, { recursive: true });
  Deno.renameSync(late.host(host), `${dir}/pki/hosts/${host}`);
  Deno.removeSync(`${dir}/.late`, { recursive: true });
}

/** Runs a step as the services do: each in a shell of its own that ends at the first failure. */
function runStep(command: string, dir: string, env: Record<string, string>): Promise<Finished> {
  return run("bash", ["-e", "-c", command], { cwd: dir, env, timeout: 120_000 });
}

interface Workflow {
  readonly on: Record<string, unknown>;
  readonly jobs: Record<string, {
    readonly env: Record<string, string>;
    readonly steps: readonly {
      readonly run?: string;
      readonly uses?: string;
      readonly if?: string;
    }[];
  }>;
}

programTest(
  "the workflow of docs/ci.md passes good credentials and marks bad ones",
  ["npx", "git"],
  async () => {
    using temp = temporaryDirectory();
    await makeRepository(temp.path);
    const workflow = parse(block("yaml", "runs-on:")) as Workflow;
    assertEquals(Object.keys(workflow.on), ["push", "pull_request", "schedule"]);
    const { env, steps } = workflow.jobs.check!;
    const commands = steps.filter((step) => step.run !== undefined);
    assertEquals([steps.length, commands.length], [5, 3]);
    for (const { run: command } of commands) {
      const { code, stdout, stderr } = await runStep(command!, temp.path, env);
      assertEquals([command, code], [command, 0], stdout + stderr);
    }
    assertEquals(
      JSON.parse(Deno.readTextFileSync(`${temp.path}/credentials.sarif`)).version,
      "2.1.0",
    );
    await spoil(temp.path, "vm2.example");
    const results: Finished[] = [];
    for (const { run: command } of commands) results.push(await runStep(command!, temp.path, env));
    assertEquals(results.map(({ code }) => code), [1, 1, 0]);
    assertMatch(
      results[0]!.stdout,
      /^::error file=pki\/hosts\/vm2\.example\/server-cert\.pem,title=CERT_EXPIRED::/m,
    );
    assertStringIncludes(results[1]!.stdout, "vm2.example does not load");
    const log = JSON.parse(Deno.readTextFileSync(`${temp.path}/credentials.sarif`));
    assert(log.runs[0].results.some((one: { ruleId: string }) => one.ruleId === "CERT_EXPIRED"));
  },
);

programTest("the pipeline of docs/ci.md writes JUnit that a JUnit reader understands", [
  "npx",
  "git",
  "junitparser",
], async () => {
  using temp = temporaryDirectory();
  await makeRepository(temp.path);
  const pipeline = parse(block("yaml", "artifacts:")) as {
    credentials: { script: string[]; artifacts: { reports: { junit: string } } };
  };
  const { script, artifacts: { reports: { junit } } } = pipeline.credentials;
  const verify = () => run("junitparser", ["verify", junit], { cwd: temp.path });
  assertEquals((await runStep(script.join("\n"), temp.path, {})).code, 0);
  assertEquals((await verify()).code, 0);
  Deno.renameSync(`${temp.path}/${junit}`, `${temp.path}/good.xml`);
  await spoil(temp.path, "vm2.example");
  assertEquals((await runStep(script.join("\n"), temp.path, {})).code, 1);
  assertEquals((await verify()).code, 1);
  const merged = await run("junitparser", ["merge", "good.xml", junit, "all.xml"], {
    cwd: temp.path,
  });
  assertEquals(merged.code, 0, merged.stderr);
  const all = Deno.readTextFileSync(`${temp.path}/all.xml`);
  // Two hosts in two roles for five lines of QEMU, twice; one host fails in both roles once.
  const [, tests, failures] = /tests="(\d+)"[^>]*failures="(\d+)"/.exec(
    all.replace(/failures="(\d+)"([^>]*)tests="(\d+)"/, 'tests="$3"$2failures="$1"'),
  )!;
  assertEquals([tests, failures], ["40", "10"]);
});

async function commit(dir: string, message: string): Promise<Finished> {
  await run("git", ["add", "pki", "tools"], { cwd: dir });
  return await run("git", ["commit", "-q", "-m", message], { cwd: dir, timeout: 120_000 });
}

for (const form of ["git", "pre-commit"]) {
  programTest(`the hook of docs/ci.md refuses a commit of bad credentials: ${form}`, [
    ...["npx", "git"],
    ...(form === "git" ? [] : [form]),
  ], async () => {
    using temp = temporaryDirectory();
    await makeRepository(temp.path);
    Deno.writeTextFileSync(`${temp.path}/tools/check-credentials`, block("bash", "#!/bin/sh"), {
      mode: 0o755,
    });
    if (form === "git") {
      const [line] = /^`(ln -s [^`]+)`/m.exec(PAGE)!.slice(1);
      assertEquals((await runStep(line!, temp.path, {})).code, 0);
    } else {
      Deno.writeTextFileSync(
        `${temp.path}/.pre-commit-config.yaml`,
        block("yaml", "- repo: local"),
      );
      await run("git", ["add", ".pre-commit-config.yaml"], { cwd: temp.path });
      const installed = await run("pre-commit", ["install"], { cwd: temp.path });
      assertEquals(installed.code, 0, installed.stderr);
    }
    const good = await commit(temp.path, "good");
    assertEquals(good.code, 0, good.stdout + good.stderr);
    await spoil(temp.path, "vm2.example");
    const bad = await commit(temp.path, "bad");
    assertEquals(bad.code, 1);
    assertStringIncludes(
      bad.stdout + bad.stderr,
      "CERT_EXPIRED pki/hosts/vm2.example/server-cert.pem",
    );
    assert(!(bad.stdout + bad.stderr).includes("vm1.example"), "an untouched host was judged");
    assertEquals(
      (await run("git", ["log", "--oneline"], { cwd: temp.path })).stdout.split("\n").length,
      2,
    );
    // A commit without credentials has nothing to be judged.
    await run("git", ["reset", "-q"], { cwd: temp.path });
    Deno.writeTextFileSync(`${temp.path}/tools/notes`, "x");
    await run("git", ["add", "tools"], { cwd: temp.path });
    assertEquals((await run("git", ["commit", "-q", "-m", "notes"], { cwd: temp.path })).code, 0);
  });
}
