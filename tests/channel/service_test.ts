import { assertEquals } from "@std/assert";
import { portNumber } from "../../channel/mod.ts";
import { temporaryDirectory } from "../support/temp.ts";

Deno.test("portNumber() finds ports by number, by name and by alias, those of TCP alone", () => {
  using temp = temporaryDirectory();
  const file = `${temp.path}/services`;
  Deno.writeTextFileSync(
    file,
    "# names\nhttp-alt\t8080/tcp\twebcache w3 # of the web\nntp 123/udp\n" +
      "both 7/udp\nboth 8/tcp\n\nbroken\nodd x/tcp\n#hidden 9/tcp\nlast 10/tcp",
  );
  const rows: [string, number | undefined][] = [
    ["", 0],
    ["0", 0],
    ["010", 10],
    ["70000", 70000],
    ["http-alt", 8080],
    ["webcache", 8080],
    ["w3", 8080],
    ["both", 8],
    ["last", 10],
    ...[
      "ntp",
      "HTTP-ALT",
      "of",
      "hidden",
      "#hidden",
      "broken",
      "odd",
      "80x",
      "-1",
      "a b",
      "8080/tcp",
    ]
      .map((text): [string, undefined] => [text, undefined]),
  ];
  for (const [text, port] of rows) assertEquals(portNumber(text, file), port, text);
  assertEquals(portNumber("http-alt", `${temp.path}/none`), undefined);
});
