import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { BaseError, type OptionTree, parseOptionTree, splitOptions } from "../../base/mod.ts";
import { soakCount, soakRow } from "../support/soak.ts";

const parse = (text: string) => parseOptionTree(text, "qom-type", "--object");

Deno.test("parseOptionTree() reads QEMU's key=value and JSON forms", () => {
  const cases: [string, OptionTree][] = [
    ["tls-creds-x509,id=t,dir=/d", { "qom-type": "tls-creds-x509", id: "t", dir: "/d" }],
    ["qom-type=secret,id=s,data=a=b", { "qom-type": "secret", id: "s", data: "a=b" }],
    ["authz-simple,id=z,identity=O=A,,CN=b", {
      "qom-type": "authz-simple",
      id: "z",
      identity: "O=A,CN=b",
    }],
    ["authz-list,rules.0.match=x,rules.0.policy=allow,rules.1.match=y", {
      "qom-type": "authz-list",
      rules: [{ match: "x", policy: "allow" }, { match: "y" }],
    }],
    ['{"qom-type":"secret","id":"s","data":"x"}', { "qom-type": "secret", id: "s", data: "x" }],
    ["a,id=1,id=2", { "qom-type": "a", id: "2" }],
  ];
  for (const [text, tree] of cases) assertEquals(parse(text), tree, text);
});

Deno.test("parseOptionTree() refuses broken text by name", () => {
  const cases: [string, string][] = [
    ["secret,id", "Expected '=' after parameter 'id'"],
    ["secret,=x", "Invalid parameter ''"],
    ["secret,a.b=1,a=2", "used inconsistently"],
    ["secret,a=1,a.b=2", "used inconsistently"],
    ["{", "JSON parse error"],
    ["secret,1x=2", "Invalid parameter '1x'"],
  ];
  for (const [text, message] of cases) assertThrows(() => parse(text), BaseError, message, text);
});

Deno.test("parseOptionTree() quotes nothing of broken JSON, which may hold a secret", () => {
  for (const text of ['{"data":hunter2}', '{"data":"hunter2', '{"data":"hunter2" x}', "{hunter2"]) {
    const error = assertThrows(() => parse(text), BaseError, "JSON parse error");
    assertEquals(`${error.message} ${error.hints}`.includes("hunter"), false);
    assertEquals(error.hints.length, 1);
  }
});

Deno.test("parseOptionTree() takes hostile keys for what they are", () => {
  const tree = parse("x,constructor=1,toString.valueOf=2");
  assertEquals(Object.hasOwn(tree, "constructor"), true);
  assertEquals(({} as Record<string, unknown>)["polluted"], undefined);
  assertThrows(() => parse("x,__proto__.polluted=1"), BaseError, "Invalid parameter");
});

Deno.test("splitOptions() undoes doubling of commas for any values", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 5 }), (values) => {
      const text = values.map((v, i) => `k${i}=${v.replaceAll(",", ",,")}`).join(",");
      assertEquals(splitOptions(text), values.map((value, i) => ({ key: `k${i}`, value })));
    }),
    { numRuns: soakCount(20_000), seed: 2 },
  );
  soakRow("splitOptions(): doubled commas", soakCount(20_000), "every value came back");
});
