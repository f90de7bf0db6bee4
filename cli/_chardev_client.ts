/** `chardev client`. */

import type { Command } from "./_command.ts";
import {
  carriesTls,
  CHARDEV_FLAGS,
  CHARDEV_NOTES,
  escapeKey,
  localStdio,
  openLocal,
  pauseText,
  readDevices,
} from "./_chardev.ts";
import { hasMonitor, joinDevices, MONITOR_FLAGS } from "./_chardev_monitor.ts";
import { say, sayError } from "./_console.ts";
import { serveObjects } from "./_objects.ts";

/** Connects to a TLS serial port. */
export const chardevClient: Command = {
  name: "chardev client",
  summary: "connect to a TLS serial port of QEMU or of another chardev",
  usage: "--object tls-creds-x509,… --chardev socket,id=ID,host=H,port=P,tls-creds=ID",
  examples: [
    [
      "chardev client --object tls-creds-x509,id=tls0,dir=pki/hosts/vm1,endpoint=client --chardev socket,id=s0,host=vm2.example,port=7001,tls-creds=tls0",
      "a console: vm2.example is the name that its certificate must have",
    ],
    [
      "chardev client --object … --chardev socket,id=s0,host=vm2.example,port=7001,tls-creds=tls0,reconnect=5 </dev/null >>console.log",
      "keep what a guest says, through its restarts",
    ],
  ],
  flags: [...CHARDEV_FLAGS, ...MONITOR_FLAGS],
  notes: CHARDEV_NOTES,
  async run(input) {
    const devices = await readDevices(input, this.name, false);
    const { chardev, objects } = devices;
    using _ = objects;
    if (hasMonitor(input, [chardev, devices.backend])) {
      const second = devices.backend ?? localStdio();
      return await joinDevices(input, { first: chardev, second, objects });
    }
    const { describeChannel, describeEnd, ESCAPE_NAME, MAY_WANT_TLS, runClient } = await import(
      "../chardev/mod.ts"
    );
    await using local = await openLocal(input, devices);
    let told = "";
    return await serveObjects(input, objects, (signal) =>
      runClient(chardev, {
        objects,
        local,
        carriesTls: carriesTls(devices.backend),
        keys: { escape: escapeKey(input) },
        signal,
        events: {
          connected: (channel, raw) => {
            told = "";
            say(
              `connected: ${describeChannel(channel)}` + (raw ? `; ${ESCAPE_NAME} ends it` : ""),
            );
          },
          left(channel, end) {
            const byPeer = end.by === "peer";
            const isSilent = byPeer && end.received === 0 && channel.facts === undefined;
            say(describeEnd(channel, byPeer), ...isSilent ? [MAY_WANT_TLS] : []);
          },
          retrying: (error, wait) => {
            // Once for each cause: it may go on for days.
            if (told === String(error)) return;
            told = String(error);
            sayError(`Unable to connect character device ${chardev.id}`, error);
            say(`dialling again in ${pauseText(wait)}, then later each time`);
          },
          dialling: () => say(`dialling: ${ESCAPE_NAME} ends it, other keys are dropped`),
          logFailed: (error) => sayError(chardev.id, error),
        },
      }));
  },
};
