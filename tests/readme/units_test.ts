/** The systemd units and the script of docs/renewal.md: read by systemd where it is, and run. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PROJECT, run, virtcreds } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { findProgram } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const PAGE = Deno.readTextFileSync(`${PROJECT}/docs/renewal.md`);

/** The file of a fenced block, whose first comment is its path. */
function fileOf(path: string): string {
  for (const [, text] of PAGE.matchAll(/^```(?:ini|bash)\n([\s\S]*?)^```$/gm)) {
    if (text!.includes(`# ${path}\n`)) return text!;
  }
  throw new Error(`docs/renewal.md has no ${path}`);
}

const SERVICE = fileOf("/etc/systemd/system/virtcreds-renew.service");
const TIMER = fileOf("/etc/systemd/system/virtcreds-renew.timer");
const SCRIPT = fileOf("/usr/local/bin/virtcreds-deliver");

/** Reads a unit: sections with their settings, each a list. */
function parseUnit(text: string): Record<string, Record<string, string[]>> {
  const unit: Record<string, Record<string, string[]>> = {};
  let section: Record<string, string[]> | undefined;
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const header = /^\[(\w+)\]$/.exec(line);
    if (header !== null) section = unit[header[1]!] ??= {};
    else {
      const setting = /^([A-Z]\w+)=(.+)$/.exec(line);
      assert(setting !== null && section !== undefined, `no setting: ${line}`);
      (section[setting[1]!] ??= []).push(setting[2]!);
    }
  }
  return unit;
}

Deno.test("the units of docs/renewal.md start commands that there are, every day", async () => {
  const { Service } = parseUnit(SERVICE);
  assertEquals(Service!["Type"], ["oneshot"]);
  const [renew, deliver, ...rest] = Service!["ExecStart"]!;
  assertEquals(rest, []);
  assertEquals(deliver, "/usr/local/bin/virtcreds-deliver");
  const [program, group, ...args] = renew!.split(" ");
  assertEquals([program, group], ["/usr/local/bin/virtcreds", "ca"]);
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }] });
  const { code, stderr } = await virtcreds(
    ["ca", ...args.map((arg) => arg === "/srv/pki" ? dir : arg)],
    { cwd: temp.path },
  );
  assertEquals([code, stderr.split("\n")[0]], [0, "nothing to renew"]);
  const { Timer, Install } = parseUnit(TIMER);
  assertEquals([Timer!["OnCalendar"], Timer!["Persistent"]], [["daily"], ["true"]]);
  assertEquals(Install!["WantedBy"], ["timers.target"]);
});

const hasSystemd = findProgram("systemd-analyze") !== undefined;

Deno.test({
  name: `systemd takes the units of docs/renewal.md${hasSystemd ? "" : " [SKIPPED, no systemd]"}`,
  ignore: !hasSystemd,
  async fn() {
    using temp = temporaryDirectory();
    // It looks for the programs that are started, which are not installed here.
    const service = SERVICE.replaceAll(/^ExecStart=\S+/gm, "ExecStart=/bin/true");
    Deno.writeTextFileSync(`${temp.path}/virtcreds-renew.service`, service);
    Deno.writeTextFileSync(`${temp.path}/virtcreds-renew.timer`, TIMER);
    const verify = () =>
      run("systemd-analyze", [
        ...["verify", "--man=no", "--recursive-errors=no"],
        ...["service", "timer"].map((kind) => `${temp.path}/virtcreds-renew.${kind}`),
      ]);
    const { code, stderr } = await verify();
    assertEquals(code, 0, stderr);
    // Others' units may have something said of them; ours must not.
    assertEquals(stderr.split("\n").filter((line) => line.includes("virtcreds-renew")), []);
    Deno.writeTextFileSync(`${temp.path}/virtcreds-renew.timer`, `${TIMER}\nOnCalendar=never\n`);
    assertStringIncludes((await verify()).stderr, "virtcreds-renew.timer");
  },
});

Deno.test("the script of docs/renewal.md delivers what is new, again until the host has it", async () => {
  using temp = temporaryDirectory();
  const { dir } = await makePki(`${temp.path}/pki`, { hosts: [{ name: "a" }, { name: "b" }] });
  const [bin, sent, hosts] = ["bin", "sent", "hosts"].map((name) => `${temp.path}/${name}`);
  for (const folder of [bin, sent, hosts]) Deno.mkdirSync(folder!);
  const program = (name: string, text: string) =>
    Deno.writeTextFileSync(`${bin}/${name}`, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  program(
    "virtcreds",
    `exec "${Deno.execPath()}" run -A --config "${PROJECT}/deno.json" "${PROJECT}/cli/main.ts" "$@"`,
  );
  // A host is a folder here; one without a folder is away.
  program("ssh", `host=\${3#root@}; shift 3; cd "${hosts}/$host" && exec "$1" -C . "$4"`);
  const script = SCRIPT.replaceAll("/srv/pki", dir).replaceAll("/var/lib/virtcreds", sent!);
  const deliver = async () => {
    const { code, stdout } = await run("sh", ["-c", script], {
      env: { PATH: `${bin}:${Deno.env.get("PATH")}` },
    });
    return { code, stdout };
  };
  Deno.mkdirSync(`${hosts}/a`);
  assertEquals(await deliver(), { code: 1, stdout: "delivered to a\n" });
  Deno.mkdirSync(`${hosts}/b`);
  assertEquals(await deliver(), { code: 0, stdout: "delivered to b\n" });
  assertEquals(await deliver(), { code: 0, stdout: "" });
  for (const host of ["a", "b"]) {
    const [has, wants] = [`${hosts}/${host}/etc/pki/qemu`, `${dir}/hosts/${host}`].map((at) =>
      Deno.readTextFileSync(`${at}/server-cert.pem`)
    );
    assertEquals(has, wants);
  }
  const renewed = await virtcreds(["ca", "renew", "b", "--dir", dir], { cwd: temp.path });
  assertEquals(renewed.code, 0, renewed.stderr);
  assertEquals(await deliver(), { code: 0, stdout: "delivered to b\n" });
});
