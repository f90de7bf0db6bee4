import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { virtcreds } from "../support/command.ts";
import { temporaryDirectory } from "../support/temp.ts";
import { CA } from "../../cli/ca.ts";
import { runHere } from "./run_here.ts";

Deno.test("ca request, ca sign and ca request --install go from a host's keys to its directory", async () => {
  using temp = temporaryDirectory();
  const cwd = temp.path;
  const ca = (...args: string[]) => virtcreds(["ca", ...args], { cwd });
  const asked = await ca("request", "VM1.example", "--ip", "192.0.2.7", "--json");
  assertEquals(asked.code, 0, asked.stderr);
  const { host, request, keys } = JSON.parse(asked.stdout);
  assertEquals([host, request], ["vm1.example", `${cwd}/requests/vm1.example/request.pem`]);
  assertEquals(keys.length, 2);
  assertEquals((await ca("init")).code, 0);
  const signed = await ca("sign", request, "--json");
  assertEquals(signed.code, 1, "an address is refused");
  const told = JSON.parse(signed.stdout);
  assertEquals([told.ok, told.dns, told.ip], [true, ["vm1.example"], []]);
  assertEquals(told.refused, [{
    name: "192.0.2.7",
    cause: "it is not allowed for vm1.example",
  }]);
  assertMatch(signed.stderr, /^error: refused for vm1\.example: 192\.0\.2\.7: .*\nhint: .*--ip/);
  Deno.writeTextFileSync(`${cwd}/hosts.csv`, "host,ip,days\nvm1.example,192.0.2.7,30\n");
  const listed = await ca("sign", request, "--inventory", "hosts.csv");
  assertEquals(listed.code, 0, listed.stderr);
  assertMatch(listed.stdout, /\n {2}names {8}DNS vm1\.example, IP 192\.0\.2\.7\n/);
  assertMatch(listed.stdout, /, 30 days\n/);
  const out = ["--out", "requests/vm1.example"];
  const installed = await ca("request", "--install", "pki/hosts/vm1.example", ...out);
  assertEquals(installed.code, 0, installed.stderr);
  assertStringIncludes(installed.stdout, `dir=${cwd}/requests/vm1.example,endpoint=server`);
  const checked = await virtcreds(["creds", "check", "requests/vm1.example"], { cwd });
  assertEquals(checked.code, 0, checked.stdout);
  assertEquals(installed.stderr.includes("a second time"), false);
  const elsewhere = await ca("request", "--install", "pki/hosts/vm1.example", ...out, "--to", "q");
  const [, remove] = /^note: the keys are in q now.*\nhint: remove those: (rm .*)$/m
    .exec(elsewhere.stderr)!;
  assertEquals(
    remove,
    "rm requests/vm1.example/server-key.pem requests/vm1.example/client-key.pem",
  );
  const renewed = await ca("renew", "--all");
  assertMatch(renewed.stderr, /note: the keys of vm1\.example are on the host/);
});

Deno.test("ca request and ca sign say what is missing, and how to go on", async () => {
  using temp = temporaryDirectory();
  const none = `${temp.path}/none`;
  for (
    const [args, code, said] of [
      [["request"], 2, "missing HOST"],
      [["request", "../x"], 2, "is not a host name"],
      [["request", "a", "--to", "x"], 2, "--to is for --install"],
      [["request", "--install", "x"], 2, "--install needs --out"],
      [["request", "--install", "x", "--out", none], 1, "there is no such directory"],
      [["sign"], 2, "missing FILE"],
      [["sign", "x", "--dir", none], 1, "there is no CA"],
    ] as const
  ) {
    const done = await runHere(CA, args);
    assertEquals([args, done.code], [args, code], done.stderr);
    assertStringIncludes(done.stderr, said);
  }
});
