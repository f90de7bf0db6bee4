/** `fd=N`: a connection, or a socket to listen on, that somebody else has opened. */

import {
  type Address,
  ChannelError,
  descriptorChannel,
  formatHostPort,
  formatUnix,
  passingChannel,
} from "../channel/mod.ts";
import { formatIpAddress } from "../creds/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import {
  acceptUnix,
  closeDescriptor,
  listenOnDescriptor,
  openDescriptor,
  type SocketName,
  socketName,
  SystemError,
} from "../os/mod.ts";
import { cannotOpen, NEEDS_LIBC } from "./_cannot_open.ts";
import { ChardevError } from "./error.ts";
import type { DescriptorAddress } from "./kinds.ts";

/** Inherited ones are made channels of once: a second channel would close the first one's. */
const inherited = new Set<number>();

/** A connection of a descriptor, and this end of it in words. */
type Connection = ByteChannel & { readonly local: string };

/**
 * Takes a connection over.
 *
 * @throws {ChardevError} `BACKEND` If it is none, in QEMU's words.
 */
export function descriptorConnection(address: DescriptorAddress): Connection {
  const number = takeNumber(address);
  const local = endName(number, "local");
  return Object.assign(descriptorChannel(number, endName(number, "peer")), { local });
}

/** A listening socket of somebody else. */
export interface DescriptorListener extends AsyncDisposable {
  /** Where it listens. */
  readonly address: Address | DescriptorAddress;
  accept(): Promise<Connection>;
  close(): void;
}

/**
 * Listens on a socket of somebody else.
 *
 * @throws {ChardevError} `BACKEND` If that cannot be done, in QEMU's words.
 */
export function descriptorListener(address: DescriptorAddress): DescriptorListener {
  const number = takeNumber(address);
  const descriptor = openDescriptor(number);
  if (descriptor === undefined) throw cannotOpen(`fd=${address.fd}`, NEEDS_LIBC);
  try {
    listenOnDescriptor(number);
  } catch (error) {
    descriptor.close();
    if (!(error instanceof SystemError)) throw error;
    throw new ChardevError("BACKEND", {
      text: `Failed to listen on fd socket: ${error.message}`,
      hint: "it is connected: leave server=on out, or pass in a socket that is bound",
    }, { cause: error });
  }
  return {
    address: placeOf(socketName(number, "local")) ?? address,
    async accept() {
      try {
        const accepted = await acceptUnix(descriptor);
        if (accepted === null) throw new ChannelError("CHANNEL_CLOSED");
        const [local, peer] = (["local", "peer"] as const).map((end) =>
          endName(accepted.number, end)
        ) as [string, string];
        return Object.assign(passingChannel(accepted, peer), { local });
      } catch (error) {
        if (!(error instanceof SystemError)) throw error;
        throw new ChannelError("ACCEPT_FAILED", { cause: error.message }, { cause: error });
      }
    },
    close: () => descriptor.close(),
    [Symbol.asyncDispose]: () => Promise.resolve(descriptor.close()),
  };
}

function placeOf(name: SocketName | undefined): Address | undefined {
  if (name === undefined) return undefined;
  if (name.kind === "unix") return { kind: "unix", path: name.path };
  return { kind: "tcp", host: formatIpAddress(name.address), port: name.port };
}

/** An end of a connection in words. */
function endName(number: number, end: "local" | "peer"): string {
  const place = placeOf(socketName(number, end));
  if (place?.kind === "tcp") return formatHostPort(place);
  return formatUnix(place?.path ?? "");
}

function takeNumber({ fd, take }: DescriptorAddress): number {
  const number = take === undefined ? Number(fd) : take();
  if ((take === undefined && inherited.has(number)) || !isSocket(number)) {
    if (take !== undefined) closeDescriptor(number);
    throw new ChardevError("BACKEND", {
      text: `File descriptor '${fd}' is not a socket`,
      hint: take === undefined
        ? "whoever starts this program must leave a socket open under that number"
        : "getfd must come with a socket",
    });
  }
  if (take === undefined) inherited.add(number);
  return number;
}

function isSocket(number: number): boolean {
  try {
    return Deno.statSync(`/proc/self/fd/${number}`).isSocket === true;
  } catch {
    return false;
  }
}
