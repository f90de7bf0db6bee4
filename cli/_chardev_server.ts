/** `chardev server`. */

import type { Command } from "./_command.ts";
import {
  carriesTls,
  CHARDEV_FLAGS,
  CHARDEV_NOTES,
  escapeKey,
  localStdio,
  openLocal,
  readDevices,
  sayListening,
} from "./_chardev.ts";
import { hasMonitor, joinDevices, MONITOR_FLAGS } from "./_chardev_monitor.ts";
import { say, sayError } from "./_console.ts";
import { serveObjects } from "./_objects.ts";

/** Serves a TLS serial port. */
export const chardevServer: Command = {
  name: "chardev server",
  summary: "serve a TLS serial port that QEMU, gnutls-cli or another chardev connects to",
  usage: "--object tls-creds-x509,… --chardev socket,id=ID,host=H,port=P,server=on,tls-creds=ID",
  examples: [
    [
      "chardev server --object tls-creds-x509,id=tls0,dir=pki/hosts/vm1,endpoint=server --chardev socket,id=s0,host=127.0.0.1,port=7001,server=on,tls-creds=tls0",
      "serve the next client whose certificate the CA of vm1 signed",
    ],
    [
      "chardev server --serve --object … --chardev socket,id=s0,host=::,port=7001,server=on,tls-creds=tls0,logfile=console.log",
      "go on when a client leaves, and keep what all of them say",
    ],
    [
      "chardev server --object … --chardev socket,id=s0,host=::,port=7001,server=on,tls-creds=tls0 --backend pty",
      "give it a terminal that any program can open",
    ],
  ],
  flags: [
    ...CHARDEV_FLAGS,
    ...MONITOR_FLAGS,
    {
      name: "serve",
      help:
        "go on when a client leaves; a signal ends it, or the end of a local side that gave something",
    },
  ],
  notes:
    `With wait=on, QEMU's default, the local side is opened when the first client is there: a command is
started then, a pseudo terminal is made then. Standard input and output are there before.
One client is served at a time; others are verified meanwhile and wait. A refused client is
named with the cause, and the server goes on. Without --serve it ends when a client has left and no
other waits.
${CHARDEV_NOTES}`,
  async run(input) {
    const devices = await readDevices(input, this.name, true);
    const { chardev, objects } = devices;
    using _ = objects;
    if (hasMonitor(input, [chardev, devices.backend])) {
      const second = devices.backend ?? localStdio();
      return await joinDevices(input, {
        first: chardev,
        second,
        objects,
        once: !input.on("serve"),
      });
    }
    const { describeChannel, describeEnd, ESCAPE_NAME, runServer } = await import(
      "../chardev/mod.ts"
    );
    await using opened = new AsyncDisposableStack();
    const open = async () => opened.use(await openLocal(input, devices));
    const isHeld = chardev.wait && (devices.backend?.kind ?? "stdio") !== "stdio";
    const local = isHeld ? open : await open();
    return await serveObjects(input, objects, (signal) =>
      runServer(chardev, {
        objects,
        local,
        carriesTls: carriesTls(devices.backend),
        keys: { escape: escapeKey(input) },
        keep: input.on("serve"),
        signal,
        events: {
          listening: (address, waiting) => void sayListening(address, waiting),
          connected: (channel, raw) =>
            say(
              `connected: ${describeChannel(channel)}` + (raw ? `; ${ESCAPE_NAME} ends it` : ""),
            ),
          left: (channel, end) => say(describeEnd(channel, end.by === "peer")),
          refused: sayError,
          broken: sayError,
          logFailed: (error) => sayError(chardev.id, error),
        },
      }));
  },
};
