/** `chardev join`. */

import type { Chardev } from "../chardev/mod.ts";
import { ESCAPE_FLAG, makeDeviceObjects, sayOptions } from "./_chardev.ts";
import { joinDevices, MONITOR_FLAGS } from "./_chardev_monitor.ts";
import { type Command, usage } from "./_command.ts";
import { OBJECT_FLAGS } from "./_objects.ts";

/** Connects two devices. */
export const chardevJoin: Command = {
  name: "chardev join",
  summary: "connect any two character devices with each other",
  usage: "[--object tls-creds-x509,…]… ONE OTHER",
  examples: [
    [
      "chardev join --object tls-creds-x509,id=tls0,dir=pki/hosts/vm1,endpoint=client socket,id=a,host=vm2.example,port=7001,tls-creds=tls0,reconnect=5 socket,id=b,host=vm3.example,port=7001,tls-creds=tls0,reconnect=5",
      "the serial ports of two machines, over TLS to each",
    ],
    [
      "chardev join --object … socket,id=a,host=vm2.example,port=7001,tls-creds=tls0 pty",
      "a terminal that any program can open: minicom -D /dev/pts/N",
    ],
    ["chardev join unix:/run/vm1.sock,server=on file:console.log", "keep what a guest says"],
  ],
  flags: [ESCAPE_FLAG, ...MONITOR_FLAGS, ...OBJECT_FLAGS],
  operands: { name: "ONE OTHER", min: 2, max: 2 },
  notes:
    `Each is a --chardev of QEMU (socket, pty, file, pipe, stdio, null, ringbuf; an id is optional),
an old form of -serial (tcp:, telnet:, tn3270:, websocket:, unix:, file:, pipe:, pty, stdio, null)
or exec:COMMAND.
A server with wait=on, QEMU's default, holds the other device back until its first client is there.
A server serves one client after the other; a client without reconnect= ends the join when it has
left. What comes before both sides are there waits; what comes between two connections is dropped,
as on a serial line. A break of telnet is passed on where the other side can have one.`,
  async run(input) {
    const { parseAnyChardev } = await import("../chardev/mod.ts");
    const [one, other] = input.operands.map((text, i) =>
      parseAnyChardev(text, { id: `char${i}`, device: "" })
    ) as [Chardev, Chardev];
    if (one.id === other.id) {
      throw usage(`Duplicate ID '${one.id}' for chardev`, "give each its own id");
    }
    for (const device of [one, other]) sayOptions(device);
    using objects = await makeDeviceObjects(input, [one, other]);
    return await joinDevices(input, { first: one, second: other, objects });
  },
};
