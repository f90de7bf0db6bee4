import { assert, assertEquals, assertMatch } from "@std/assert";
import { PAGES } from "../../creds/mod.ts";
import { virtcreds } from "../support/command.ts";

const explain = (args: readonly string[], stdin?: string) =>
  virtcreds(["creds", "explain", ...args], stdin === undefined ? {} : { stdin });

Deno.test("creds explain shows the page of a code or a text, and ends with 1 without one", async () => {
  const code = await explain(["cert_expired"]);
  assertEquals(code.code, 0, code.stderr);
  assertMatch(code.stdout, /^CERT_EXPIRED\n {2}cause: .*\n {2}confirm: .*\n {2}mend: .*\n$/);
  const text = await explain(["Verify", "failed:", "No certificate was found."]);
  assertMatch(text.stdout, /^PEER_VERIFY\n/);
  const none = await explain(["all", "is", "well\x1b[31m"]);
  assertEquals([none.code, none.stdout], [1, ""]);
  assertMatch(none.stderr, /^error: nothing is known of 'all is well\\u\{1b\}\[31m'\nhint: /);
  assertEquals((await explain([])).code, 2);
  const all = (await explain(["all", "--json"])).stdout.trim().split("\n");
  assertEquals(all.map((line) => JSON.parse(line).code), PAGES.map(({ code }) => code));
});

Deno.test("creds explain - annotates a log, each mistake once", async () => {
  const line = "libvirtd: The server certificate pki/hosts/vm1/server-cert.pem has expired";
  const log = `start\n${line}\nmiddle\n${line}\nno end of line`;
  const { code, stdout } = await explain(["-"], log);
  assertEquals(code, 0);
  const rows = stdout.trimEnd().split("\n");
  assertEquals(rows.filter((row) => !/^ {2}|^[A-Z_]+$/.test(row)), log.split("\n"));
  assertEquals(rows.filter((row) => row === "CERT_EXPIRED").length, 1);
  assert(rows.includes("  mend:    deno task ca issue vm1"), stdout);
  assertEquals((await explain(["-"], "nothing\n")).code, 1);
});
