/** A QMP client that hands descriptors over, as libvirt does. */

import { descriptorChannel } from "../../channel/mod.ts";
import { openQmp, type QmpClient } from "../../migration/qmp_client.ts";
import { closeNumber, sendingSocket } from "./descriptors.ts";

/** A QMP client that can hand over descriptors. */
export interface HandingClient extends AsyncDisposable {
  readonly qmp: QmpClient;
  /** `getfd`; the descriptor is closed here afterwards. */
  hand(name: string, descriptor: number): Promise<void>;
}

/** Connects to a QMP server on a unix socket. */
export async function handingClient(path: string): Promise<HandingClient> {
  const socket = sendingSocket(path);
  // The channel is the socket's owner from here on.
  const qmp = await openQmp(descriptorChannel(socket.number));
  return {
    qmp,
    async hand(fdname, descriptor) {
      const command = JSON.stringify({ execute: "getfd", arguments: { fdname } });
      socket.send(new TextEncoder().encode(`${command}\n`), descriptor);
      closeNumber(descriptor);
      // An answer later, what came before it is done.
      await qmp.execute("query-version");
    },
    [Symbol.asyncDispose]: () => qmp[Symbol.asyncDispose](),
  };
}
