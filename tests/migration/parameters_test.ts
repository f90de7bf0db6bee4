import { assertEquals, assertThrows } from "@std/assert";
import {
  defaultCapabilities,
  setCapabilities,
  setCapability,
} from "../../migration/capabilities.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters, setParameter, setParameters } from "../../migration/parameters.ts";

Deno.test("setParameter() reads values as the human monitor of QEMU does", () => {
  const rows: [name: string, text: string, value: unknown][] = [
    ["max-bandwidth", "100", 100 * 2 ** 20],
    ["max-bandwidth", "1G", 2 ** 30],
    ["max-bandwidth", "1.5", 1.5 * 2 ** 20],
    ["max-bandwidth", "4096B", 4096],
    ["max-postcopy-bandwidth", "100", 100],
    ["max-postcopy-bandwidth", "1k", 1024],
    ["downtime-limit", "0x10", 16],
    ["multifd-channels", "0xff", 255],
    ["multifd-compression", "zstd", "zstd"],
    ["cpu-throttle-tailslow", "yes", true],
    ["compress-wait-thread", "off", false],
    ["tls-creds", "tls 0", "tls 0"],
    ["tls-hostname", "", ""],
  ];
  for (const [name, text, value] of rows) {
    const parameters = defaultParameters();
    setParameter(parameters, name, text);
    assertEquals(parameters, { ...defaultParameters(), [name]: value }, `${name} ${text}`);
  }
});

Deno.test("setParameter() refuses what is longer than a name can be, or not on one line", () => {
  for (const text of ["x".repeat(256), "a\nb"]) {
    const error = assertThrows(
      () => setParameter(defaultParameters(), "tls-hostname", text),
      MigrationError,
      "up to 255 printable characters",
    );
    assertEquals(error.hints, ["it is a name in the destination's certificate"]);
    assertEquals(error.exitCode, 2);
  }
  const unknown = assertThrows(
    () => setParameter(defaultParameters(), "__proto__", "1"),
    MigrationError,
    "invalid parameter value: __proto__",
  );
  assertEquals(unknown.hints[0]!.startsWith("one of: announce-initial, "), true);
});

Deno.test("setParameters() sets all of them or none", () => {
  const parameters = defaultParameters();
  const wrong = { "downtime-limit": 500, "multifd-channels": 0 };
  assertThrows(() => setParameters(parameters, wrong), MigrationError, "between 1 and 255");
  assertEquals(parameters, defaultParameters());
  setParameters(parameters, { "cpu-throttle-initial": 60, "max-cpu-throttle": 70 });
  assertEquals(parameters["max-cpu-throttle"], 70);
  // The one that is set is held against the one that was.
  assertThrows(() => setParameters(parameters, { "max-cpu-throttle": 59 }), MigrationError);
});

Deno.test("setCapability() switches what is honoured and refuses what would be ignored", () => {
  const capabilities = defaultCapabilities();
  setCapability(capabilities, "multifd", true);
  setCapability(capabilities, "late-block-activate", true);
  setCapability(capabilities, "xbzrle", false);
  assertEquals(capabilities, {
    ...defaultCapabilities(),
    multifd: true,
    "late-block-activate": true,
  });
  const error = assertThrows(() => setCapability(capabilities, "xbzrle", true), MigrationError);
  assertEquals(
    error.message,
    "capability 'xbzrle' is not supported here and cannot be switched on",
  );
  assertEquals(error.hints.length, 1);
  assertThrows(
    () => setCapability(capabilities, "toString", true),
    MigrationError,
    "invalid parameter value: toString",
  );
  // All or none.
  assertThrows(
    () => setCapabilities(capabilities, { events: true, compress: true }),
    MigrationError,
  );
  assertEquals(capabilities.events, false);
});
