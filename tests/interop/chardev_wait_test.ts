import { assertEquals } from "@std/assert";
import { start, startProgram } from "../chardev/process.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

const WAITING = /info: QEMU waiting for connection on: (.*)$/m;

programTest(
  "QEMU and chardev say the same of a server that waits, and go on with its first client",
  ["qemu-system-x86_64", "socat"],
  async () => {
    using folder = temporaryDirectory();
    const port = "127.0.0.1,port=0,server=on";
    const name = `virtcreds-${crypto.randomUUID()}`;
    for (
      const text of [
        `socket,id=c0,host=${port},wait=on,tn3270=on`,
        "socket,id=c0,host=::1,port=0,server=on,websocket=on",
        `socket,id=c0,path=${name},abstract=on,tight=off,server=on`,
      ]
    ) {
      const made = `${folder.path}/made`;
      const said: string[] = [];
      const [log, other] = [`file:${made}`, ["-chardev", `file,id=f0,path=${made}`]];
      for (const who of ["QEMU", "chardev"] as const) {
        await using program = who === "QEMU"
          ? start("qemu-system-x86_64", [
            ...["-machine", "none", "-nodefaults", "-display", "none"],
            ...["-chardev", text, ...other],
          ])
          : startProgram("chardev/server.ts", ["--chardev", text, "--backend", log]);
        const [, where] = await program.untilErr(WAITING);
        said.push(where!.replace(/:\d+,/, ":PORT,"));
        // The device after it is not there yet.
        assertEquals(exists(made), false, `${who} ${text}`);
        const at = where!.replace(/^disconnected:/, "").replace(/,server=on$/, "");
        const place = at.startsWith("unix:")
          ? at.includes(",abstract=on")
            ? `ABSTRACT-CONNECT:${name},unix-tightsocklen=0`
            : `UNIX:${at.slice(5)}`
          : `TCP:${at.includes(":::1:") ? "[::1]" : "127.0.0.1"}:${/:(\d+)$/.exec(at)![1]}`;
        await using client = start("socat", ["-", place]);
        if (text.includes("websocket")) {
          await client.type(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
              "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
          );
        }
        for (let i = 0; i < 400 && !exists(made); i++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        assertEquals(exists(made), true, `${who} ${text}`);
        Deno.removeSync(made);
      }
      assertEquals(said[1], said[0], text);
    }
  },
);

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
