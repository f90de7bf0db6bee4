import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes } from "@std/assert";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("the one file runs anywhere and names commands as it has them", async () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/virtcreds`;
  const made = await virtcreds(["install", "--out", file]);
  assertEquals(made.code, 0, made.stderr);
  const tool = (...args: string[]) =>
    run(Deno.execPath(), ["run", "--no-config", "--ext=js", "-A", file, ...args], {
      cwd: temp.path,
    });
  const manifest = JSON.parse(Deno.readTextFileSync(`${PROJECT}/deno.json`));
  assertEquals((await tool("--version")).stdout, `virtcreds ${manifest.version}\n`);
  const init = await tool("ca", "init");
  assertEquals(init.code, 0, init.stderr);
  assertStringIncludes(init.stderr, "hint: now issue for a host: virtcreds ca issue HOST");
  assertEquals((await tool("ca", "issue", "vm1")).code, 0);
  const check = await tool("creds", "check", "pki/hosts/vm1", "--hostname", "vm2");
  assertEquals(check.code, 1);
  assertMatch(check.stdout, /mend: virtcreds ca /);
  assertEquals((await tool("ca", "issue", "vm2")).code, 0);
  const hosts = ["pki/hosts/vm1", "pki/hosts/vm2"];
  for (
    const args of [
      ...["json", "junit", "sarif", "github"].map((format) => [
        ...["check", hosts[0]!, "--hostname", "vm2", "--format", format],
      ]),
      ["matrix", ...hosts, "--json", "--at", "2099-01-01"],
      ["matrix", ...hosts, "--html", "page.html", "--at", "2099-01-01"],
      ["explain", "CERT_EXPIRED", "--json"],
      ["explain", "CERT_EXPIRED"],
    ]
  ) {
    const { stdout } = await tool("creds", ...args);
    const page = `${temp.path}/page.html`;
    const shown = args.includes("--html") ? Deno.readTextFileSync(page) : stdout;
    assertMatch(shown, /virtcreds ca /, args.join(" "));
    assertFalse(shown.includes("deno task"), args.join(" "));
  }
  assertEquals((await tool("ca", "rotate", "start")).code, 0);
  const { then } = JSON.parse((await tool("ca", "rotate", "status", "--json")).stdout);
  assertMatch(then, / virtcreds ca rotate issue$/);
  const help = await tool("migration", "--help");
  assertMatch(help.stdout, /^ {2}virtcreds migration target --object/m);
  const unknown = await tool("frob");
  assertEquals([unknown.code, unknown.stderr.split("\n")[0]], [2, "error: unknown command 'frob'"]);
  assertEquals((await tool()).code, 2);

  const again = await virtcreds(["install", "--out", file]);
  assertEquals(again.code, 0, again.stderr);
});

Deno.test("install replaces nothing but what it made itself", async () => {
  using temp = temporaryDirectory();
  const notes = `${temp.path}/notes`;
  Deno.writeTextFileSync(notes, "mine");
  Deno.symlinkSync(notes, `${temp.path}/link`);
  await run("mkfifo", [`${temp.path}/fifo`]);
  for (const name of ["notes", "link", "fifo"]) {
    const { code, stderr } = await virtcreds(["install", "--out", `${temp.path}/${name}`]);
    assertEquals(code, 1);
    assertMatch(stderr, /^error: cannot create .*: it exists already\nhint: name a file/);
  }
  assertEquals(Deno.readTextFileSync(notes), "mine");
  assert(Deno.lstatSync(`${temp.path}/link`).isSymlink);
  assertEquals([...Deno.readDirSync(temp.path)].length, 3);
});

Deno.test("a full disk behind standard output is no defect of the tool", async () => {
  const { code, stderr } = await run("bash", [
    "-c",
    `"$0" run -A "$1/cli/ca.ts" --help >/dev/full`,
    Deno.execPath(),
    PROJECT,
  ]);
  assertEquals([code, stderr], [
    1,
    "error: cannot write: no space left on device\nhint: make room: df shows where there is none\n",
  ]);
});
