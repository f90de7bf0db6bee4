import { assertEquals, assertRejects } from "@std/assert";
import { CredsError, ObjectRegistry } from "../../creds/mod.ts";
import { enginesHere } from "../support/engines.ts";
import { temporaryDirectory } from "../support/temp.ts";

const engine = (await enginesHere())[0]!;

const list = (...globs: readonly string[]) =>
  JSON.stringify({
    policy: "deny",
    rules: globs.map((match) => ({ match, policy: "allow", format: "glob" })),
  });

for (const type of ["authz-list-file", "authz-listfile"]) {
  Deno.test(`${type} decides by the rules of its file, as they are at each check`, async () => {
    using dir = temporaryDirectory();
    const file = `${dir.path}/who.json`;
    Deno.writeTextFileSync(file, list("CN=vm*"));
    using objects = new ObjectRegistry({ engine });
    await objects.add(`${type},id=az,filename=${file}`);
    const az = objects.authorization("az");
    const allowed = () => ["CN=vm1", "CN=host1"].filter((name) => az.allows(name));
    assertEquals(allowed(), ["CN=vm1"]);
    Deno.writeTextFileSync(file, list("CN=host*"));
    assertEquals(allowed(), ["CN=host1"]);
    // Another file in its place, as editors do it.
    Deno.writeTextFileSync(`${file}.new`, list("CN=vm1", "CN=host1"));
    Deno.renameSync(`${file}.new`, file);
    assertEquals(allowed(), ["CN=vm1", "CN=host1"]);
    Deno.removeSync(file);
    assertEquals(allowed(), ["CN=vm1", "CN=host1"]);
  });
}

Deno.test("authz-list-file lets nobody in while its file cannot be used, and says why", async () => {
  using dir = temporaryDirectory();
  const file = `${dir.path}/who.json`;
  const good = list("*");
  Deno.writeTextFileSync(file, good);
  using objects = new ObjectRegistry({ engine });
  await objects.add(`authz-list-file,id=az,filename=${file}`);
  const az = objects.authorization("az");
  assertEquals([az.allows("CN=x"), az.fault?.()], [true, undefined]);
  const faults: readonly (readonly [text: string, fault: RegExp])[] = [
    [good.slice(0, 20), /^JSON parse error, /],
    ["[]", /^File '.*who\.json' must contain a JSON object$/],
    ['{"polcy":"allow"}', /^Parameter 'polcy' is unexpected$/],
    ['{"policy":"maybe"}', /^Parameter 'policy' does not accept value 'maybe'$/],
    ['{"rules":[{"match":"x"}]}', /^Parameter 'rules\[0\]\.policy' is missing$/],
  ];
  for (const [text, fault] of faults) {
    Deno.writeTextFileSync(file, text);
    assertEquals([text, az.allows("CN=x")], [text, false]);
    assertEquals(fault.test(az.fault?.() ?? ""), true, az.fault?.());
    Deno.writeTextFileSync(file, good);
    assertEquals([az.allows("CN=x"), az.fault?.()], [true, undefined]);
  }
});

Deno.test("authz-list-file with refresh=off stays as it was made", async () => {
  using dir = temporaryDirectory();
  const file = `${dir.path}/who.json`;
  Deno.writeTextFileSync(file, '{"policy":"allow"}');
  using objects = new ObjectRegistry({ engine });
  await objects.add(JSON.stringify({
    "qom-type": "authz-list-file",
    id: "az",
    filename: file,
    refresh: false,
  }));
  Deno.writeTextFileSync(file, '{"policy":"deny"}');
  assertEquals(objects.authorization("az").allows("anybody"), true);
});

Deno.test("authz-list-file is not made of what QEMU would not take", async () => {
  using dir = temporaryDirectory();
  const file = `${dir.path}/who.json`;
  Deno.writeTextFileSync(file, "3");
  using objects = new ObjectRegistry({ engine });
  const rows: readonly (readonly [options: string, message: string])[] = [
    ["", "filename not provided"],
    [
      `,filename=${dir.path}/none`,
      `Unable to read '${dir.path}/none': Failed to open file “${dir.path}/none”: No such file or directory`,
    ],
    [`,filename=${file}`, `File '${file}' must contain a JSON object`],
    [`,filename=${file},refresh=3`, "Parameter 'refresh' expects 'on' or 'off'"],
    [`,filename=${file},policy=allow`, "Parameter 'policy' is unexpected"],
  ];
  for (const [options, message] of rows) {
    const error = await assertRejects(
      () => objects.add(`authz-list-file,id=az${options}`),
      CredsError,
    );
    assertEquals(error.message, message);
  }
});
