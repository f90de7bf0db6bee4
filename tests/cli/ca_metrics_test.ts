import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type FleetOptions, readFleet, revokeCertificates } from "../../ca/mod.ts";
import { nagiosResult, prometheusText } from "../../cli/_ca_metrics.ts";
import { timelineText } from "../../cli/_ca_status.ts";
import { csvText, tableText } from "../../cli/_table.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { daysFromNow, makePki } from "../support/pki.ts";
import { temporaryDirectory } from "../support/temp.ts";

const DAY = 86_400_000;

Deno.test("nagiosResult() is critical for what is over, a warning for what will be", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  const result = async (options: Partial<FleetOptions> = {}) =>
    nagiosResult(await readFleet({ dir, ...options }), (options.clock ?? daysFromNow(0))());
  const { dir: made } = await makePki(dir, { hosts: [{ name: "a", days: 30 }, { name: "b" }] });
  assertEquals(made, dir);
  assertMatch((await result()).text, /^VIRTCREDS OK - 2 hosts \| ok=2 due=0 expiring=0 /);
  assertEquals((await result()).code, 0);
  const soon = await result({ expiring: 40 * DAY });
  assertEquals(soon.code, 1);
  assertStringIncludes(soon.text, "WARNING - expiring: a; 2 hosts |");
  const late = await result({ clock: daysFromNow(31) });
  assertEquals(late.code, 2);
  assertStringIncludes(late.text, "CRITICAL - expired: a; 2 hosts |");
  const over = await result({ clock: daysFromNow(4000) });
  assertStringIncludes(over.text, "CRITICAL - the CA has expired; expired: a, b; the CRL is past");
});

Deno.test("prometheusText() keeps to the text format", async () => {
  using temp = temporaryDirectory();
  const dir = `${temp.path}/pki`;
  await makePki(dir, { hosts: [{ name: "a" }, { name: "b", clock: daysFromNow(-99), days: 9 }] });
  await revokeCertificates(["a"], "superseded", { dir, engine: await chooseEngine() });
  const fleet = await readFleet({ dir });
  const text = prometheusText({
    ...fleet,
    authority: { ...fleet.authority, name: 'CN="a\\b\nc' },
  });
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    assertMatch(
      line,
      /^(# (HELP virtcreds_\w+ .*\.|TYPE virtcreds_\w+ gauge)|virtcreds_\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)+\})? \d+)$/,
    );
    if (!line.startsWith("#")) {
      const series = line.replace(/ \d+$/, "");
      assertEquals(seen.has(series), false, series);
      seen.add(series);
    }
  }
  assertStringIncludes(text, '{subject="CN=\\"a\\\\b\\nc",');
  assertStringIncludes(text, 'virtcreds_hosts{state="expired"} 1\n');
  assertStringIncludes(text, "virtcreds_crl_entries 2\n");
});

Deno.test("timelineText() draws months, and years where they are many", () => {
  const at = (...days: string[]) => timelineText(days.map((day) => ({ notAfter: new Date(day) })));
  assertEquals(at(), "");
  assertEquals(
    at("2026-12-31", "2027-02-01", "2027-02-28T23:59:59Z"),
    `2026-12 |${"#".repeat(20)} 1\n2027-01 |\n2027-02 |${"#".repeat(40)} 2`,
  );
  assertEquals(at("2026-01-01", "2029-01-01").split("\n").map((line) => line.slice(0, 4)), [
    "2026",
    "2027",
    "2028",
    "2029",
  ]);
});

Deno.test("tableText() lines columns up, csvText() quotes what has to be", () => {
  assertEquals(
    tableText([["A", "B"], ["ü€", "x"], ["longer", ""]]),
    "A       B\nü€      x\nlonger",
  );
  assertEquals(csvText([["a", "b,c"], ['"', ""]]), 'a,"b,c"\n"""",');
});
