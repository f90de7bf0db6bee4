import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import { PROJECT } from "../support/command.ts";
import { ARROWS, importsOf, judge, sourceFiles } from "./arrows.ts";

const FILES = sourceFiles(PROJECT);
const SOURCES = new Map(FILES.map((file) => [file, Deno.readTextFileSync(join(PROJECT, file))]));

Deno.test("the arrows between rooms hold", () => {
  const wrong = [...SOURCES].flatMap(([file, source]) => importsOf(file, source).map(judge))
    .filter((verdict) => verdict !== undefined);
  assertEquals(wrong, []);
});

Deno.test("judge() refuses a wrong arrow, static, dynamic and of type", () => {
  const cases: [string, string, string | undefined][] = [
    ["creds/check.ts", `import { x } from "../channel/mod.ts";`, "no arrow creds → channel"],
    ["engine/mod.ts", `const c = await import("../creds/mod.ts");`, "no arrow engine → creds"],
    ["migration/x.ts", `import type { A } from "../ca/mod.ts";`, "no arrow migration → ca"],
    ["creds/x.ts", `export { y } from "../engine/platform/mod.ts";`, "through its mod.ts"],
    ["migration/x.ts", `import { y } from "./target.ts";`, "does not use its programs"],
    ["migration/x.ts", `import { y } from "../os/mod.ts";`, "no arrow migration → os"],
    ["cli/ca.ts", "const y = await import(`../${room}/mod.ts`);", "computed name"],
    ["creds/x.ts", `import { ca } from "@virtcreds/virtcreds/ca";`, "by its path"],
    ["base/x.ts", `import "../engine/mod.ts";`, "no arrow base → engine"],
    ["chardev/x.ts", `import { y } from "../cli/_command.ts";`, "nothing uses cli"],
    ["cli/ca.ts", `const { y } = await import("../ca/mod.ts");`, undefined],
    ["migration/target.ts", `import { y } from "../cli/_command.ts";`, undefined],
    ["creds/x.ts", `// import { x } from "../channel/mod.ts";`, undefined],
    ["ca/x.ts", `import {\n  y,\n  z,\n} from "../os/mod.ts";`, undefined],
  ];
  for (const [file, source, expected] of cases) {
    const verdict = importsOf(file, source).map(judge).find((v) => v !== undefined);
    assertEquals(
      expected === undefined ? verdict : verdict?.includes(expected),
      expected === undefined ? undefined : true,
      `${file}: ${source}: ${verdict}`,
    );
  }
});

/** The files that start with a file, by static imports. */
function closure(file: string, edges: ReadonlyMap<string, readonly string[]>): Set<string> {
  const reached = new Set([file]);
  for (const one of reached) for (const next of edges.get(one) ?? []) reached.add(next);
  return reached;
}

const EDGES: ReadonlyMap<string, readonly string[]> = new Map(
  [...SOURCES].map(([file, source]) => [
    file,
    importsOf(file, source).filter((i) => i.kind === "static" && i.specifier.endsWith(".ts"))
      .map((i) => join(dirname(file), i.specifier)),
  ]),
);

Deno.test("a command loads a room only when it runs", () => {
  const entries = FILES.filter((file) => /^cli\/[^_]/.test(file));
  assertEquals(entries.length > 3, true);
  const early = entries.flatMap((entry) =>
    // The top of engine is the interface and the names of key types: the engines lie below it.
    [...closure(entry, EDGES)].filter((file) => !/^(cli|base)\/|^engine\/\w+\.ts$/.test(file))
      .map((file) => `${entry} starts with ${file}`)
  );
  assertEquals(early, []);
});

Deno.test("no module imports itself by a detour", () => {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of EDGES.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle !== undefined) return cycle;
    }
    done.add(file);
    return undefined;
  };
  assertEquals(FILES.map((file) => visit(file, [])).filter((cycle) => cycle !== undefined), []);
});

Deno.test("only engine/gnutls and os touch native pointers", () => {
  const wrong = [...SOURCES].filter(([file, source]) =>
    !/^(engine\/gnutls|os)\//.test(file) && /Deno\.(dlopen|Unsafe\w+)/.test(source)
  );
  assertEquals(wrong.map(([file]) => file), []);
});

Deno.test("ca opens no socket; migration and chardev read no PEM", () => {
  const socket = /Deno\.(connect|listen|connectTls|listenTls)\b|node:(net|tls|http|dgram)\b/;
  const wrong = [...SOURCES].filter(([file, source]) =>
    file.startsWith("ca/") ? socket.test(source) : /^(migration|chardev)\//.test(file) &&
      /\b(decodePem|readPem)\b|BEGIN CERTIFICATE/.test(source)
  );
  assertEquals(wrong.map(([file]) => file), []);
});

Deno.test("every room has a mod.ts and an export, and no file has over 400 lines", () => {
  const { exports } = JSON.parse(Deno.readTextFileSync(join(PROJECT, "deno.json")));
  const rooms = Object.keys(ARROWS).filter((room) =>
    room !== "cli" && FILES.some((file) => file.startsWith(`${room}/`))
  );
  const missing = rooms.filter((room) =>
    !SOURCES.has(`${room}/mod.ts`) || (room !== "os" && exports[`./${room}`] === undefined)
  );
  assertEquals(missing, []);
  const long = [...SOURCES].filter(([, source]) => source.split("\n").length > 401);
  assertEquals(long.map(([file]) => file), []);
});
