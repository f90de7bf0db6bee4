/** The systemd unit of docs/consoles.md: its command serves the serial port of a QEMU over TLS. */

import { assertEquals } from "@std/assert";
import { type Running, start } from "../chardev/process.ts";
import { PROJECT } from "../support/command.ts";
import { makePki } from "../support/pki.ts";
import { programTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** The arguments of the unit's one command. */
function unitCommand(): string[] {
  const page = Deno.readTextFileSync(`${PROJECT}/docs/consoles.md`);
  const [program, ...args] = /^ExecStart=(.+)$/m.exec(page)![1]!.split(" ");
  assertEquals(program, "/usr/local/bin/virtcreds");
  return args;
}

programTest(
  "the unit of docs/consoles.md keeps a serial port reachable over restarts of its QEMU's side",
  ["socat"],
  async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1", dns: ["localhost"] }] });
    const dir = pki.host("vm1");
    const serial = `${temp.path}/vm1.sock`;
    const args = unitCommand().map((arg) =>
      arg.replace("/etc/virtcreds", dir).replace("/run/virtcreds/%i.sock", serial)
        .replace("host=::,port=7001", "host=127.0.0.1,port=0").replace("reconnect=5", "reconnect=1")
    );
    await using unit = start(Deno.execPath(), [
      ...["run", "-A", "--config", `${PROJECT}/deno.json`, `${PROJECT}/cli/main.ts`, ...args],
    ]);
    const [, port] = await unit.untilErr(/listening on tcp:127\.0\.0\.1:(\d+)/);
    const guest = (): Running => start("socat", [`UNIX-LISTEN:${serial},unlink-early`, "STDIO"]);
    await using client = start(Deno.execPath(), [
      ...["run", "-A", `${PROJECT}/chardev/client.ts`],
      ...["--object", `tls-creds-x509,id=tls0,dir=${dir},endpoint=client`],
      ...["--chardev", `socket,id=c0,host=localhost,port=${port},ipv6=off,tls-creds=tls0`],
    ]);
    await client.untilErr(/^connected: /m);
    for (const word of ["before", "after"]) {
      await using machine = guest();
      await machine.type(`${word}\n`);
      await client.untilOut(word);
    }
  },
);
