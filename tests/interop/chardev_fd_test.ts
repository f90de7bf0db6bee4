import { assertEquals } from "@std/assert";
import { connect } from "../../channel/mod.ts";
import { parseSocketChardev, serveChardev } from "../../chardev/mod.ts";
import { startProgram } from "../chardev/process.ts";
import { readExactly } from "../support/channels.ts";
import { boundSocket, closeNumber, pipeEnds, socketPair } from "../support/descriptors.ts";
import { handingClient } from "../support/handing_client.ts";
import { programTest } from "../support/programs.ts";
import { startQemu } from "../support/qemu.ts";
import { temporaryDirectory } from "../support/temp.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("serveChardev() listens on a socket that was passed in, and knows where that is", async () => {
  await using server = await serveChardev(
    parseSocketChardev(`socket,id=s0,fd=${boundSocket()},server=on,wait=off`),
  );
  const { address } = server;
  if (address.kind !== "tcp") throw new Error("not a TCP address");
  assertEquals(address.host, "127.0.0.1");
  for (const word of ["one", "two"]) {
    await using client = await connect(address);
    await using channel = await server.accept();
    await client.write(bytes(word));
    assertEquals(await readExactly(channel, 3), bytes(word));
    assertEquals([channel.peer, channel.local], [client.local, client.peer]);
  }
});

programTest(
  "QEMU and chardev take the same descriptors of a monitor, and refuse others in the same words",
  ["qemu-system-x86_64"],
  async () => {
    using folder = temporaryDirectory();
    const address = (name: string) => `unix:${folder.path}/${name},server=on,wait=off`;
    await using _qemu = await startQemu({ machine: "none", args: ["-qmp", address("theirs")] });
    await using ours = startProgram("chardev/join.ts", [
      ...["--qmp", address("ours"), `unix:${folder.path}/s,server=on,wait=off`, "null"],
    ]);
    await ours.untilErr(/qmp: listening/);
    const said: string[][] = [];
    for (const name of ["theirs", "ours"]) {
      await using client = await handingClient(`${folder.path}/${name}`);
      const { qmp } = client;
      const lines: string[] = [];
      const [here, there] = socketPair();
      const [connected, other] = socketPair();
      const add = async (id: string, str: string, more = {}) => {
        const addr = { type: "fd", data: { str } };
        const backend = { type: "socket", data: { addr, ...more } };
        lines.push(
          await qmp.execute("chardev-add", { id, backend })
            .then(() => "taken", (error: Error) => error.message),
        );
      };
      const hmp = async (line: string) => {
        const args = { "command-line": `chardev-add ${line}` };
        const answer = await qmp.execute("human-monitor-command", args) as string;
        lines.push(answer.replaceAll(/[\r\n]/g, ""));
      };
      await client.hand("bound", boundSocket());
      await add("b", "bound");
      await add("again", "bound");
      await client.hand("pair", here);
      await add("p", "pair", { server: false, reconnect: 1 });
      // What was refused before it was needed is still there.
      await add("p", "pair", { server: false });
      const [readEnd, writeEnd] = pipeEnds();
      closeNumber(writeEnd);
      await client.hand("pipe", readEnd);
      await add("x", "pipe", { server: false });
      await client.hand("connected", connected);
      await add("x", "connected");
      await add("x", "7");
      await hmp("socket,id=x,fd=zz");
      await hmp("socket,id=x");
      const rows = await qmp.execute("query-chardev") as { label: string; filename: string }[];
      lines.push(
        ...rows.filter(({ label }) => /^[bp]$/.test(label)).map(({ label, filename }) =>
          `${label} ${filename.replace(/:\d+,/, ":PORT,")}`
        ).sort(),
      );
      said.push(lines);
      for (const number of [there, other]) closeNumber(number);
    }
    assertEquals(said[1], said[0]);
    assertEquals(said[0]![0], "taken");
  },
);
