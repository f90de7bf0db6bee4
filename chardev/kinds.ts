/** Character devices as their option texts describe them: QEMU's back ends, and a program. */

import type { Address } from "../channel/mod.ts";
import type { OptionWarning } from "./_qemu_opts.ts";
import type { ChardevError } from "./error.ts";

export type { OptionWarning } from "./_qemu_opts.ts";

/** What every character device has. */
export interface CommonChardev {
  readonly id: string;
  /** The text it was made from. */
  readonly text: string;
  /** Whether what comes in is looked through for the escape key. */
  readonly mux: boolean;
  /** File that gets a copy of what the guest writes. */
  readonly logfile?: string;
  /** Keep what the log file has. */
  readonly logappend: boolean;
  /** What QEMU would warn of. */
  readonly warnings: readonly OptionWarning[];
  /** What QEMU takes in silence and does nothing with. */
  readonly ignored: readonly OptionWarning[];
}

/** What runs on the connection of a socket, as `query-chardev` names it; tn3270 has no name there. */
export type SocketProtocol = "tcp" | "telnet" | "websocket";

/** A descriptor that was passed in: its number, or its name in a monitor. */
export interface DescriptorAddress {
  readonly kind: "fd";
  readonly fd: string;
  /** Takes one that has a name, once it is needed; it belongs to the caller then. */
  readonly take?: () => number;
}

/** A socket. */
export interface SocketChardev extends CommonChardev {
  readonly kind: "socket";
  readonly address: Address | DescriptorAddress;
  /** Whether it listens; it dials otherwise. Says nothing of the TLS role. */
  readonly server: boolean;
  /** Of a server: the other side is opened when its first client is there. */
  readonly wait: boolean;
  /** What `query-chardev` calls it. */
  readonly protocol: SocketProtocol;
  /** Whether clients speak WebSocket, inside TLS where there is TLS. */
  readonly websocket: boolean;
  /** Which negotiation is made, inside TLS and WebSocket where there are any. */
  readonly telnet?: "telnet" | "tn3270";
  /** Whether small writes go out at once; unlike in QEMU, they do unless told otherwise. */
  readonly nodelay: boolean;
  /** Whether a silent peer that is gone is found out; QMP alone can say so. */
  readonly keepAlive?: boolean;
  /** Pause in ms before a client dials again; 0 ends it with its connection. */
  readonly reconnect: number;
  /** Id of the `tls-creds-*` object. */
  readonly tlsCreds?: string;
  /** Id of the `authz-*` object. */
  readonly tlsAuthz?: string;
  /** Name to verify instead of the host; not an option of QEMU. */
  readonly tlsHostname?: string;
  /** Which options exclude each other, with `tlsCreds`: QEMU finds the credentials first. */
  readonly conflict?: ChardevError;
}

/** Standard input and output of the program. */
export interface StdioChardev extends CommonChardev {
  readonly kind: "stdio";
  /** Whether Ctrl-C and its like are signals, not bytes for the guest. */
  readonly signal: boolean;
}

/** A new pseudo terminal. */
export interface PtyChardev extends CommonChardev {
  readonly kind: "pty";
}

/** A file that is written. */
export interface FileChardev extends CommonChardev {
  readonly kind: "file";
  readonly path: string;
  /** Keep what the file has. */
  readonly append: boolean;
}

/** Two named pipes, `PATH.in` and `PATH.out`, or one for both ways. */
export interface PipeChardev extends CommonChardev {
  readonly kind: "pipe";
  readonly path: string;
}

/** Nothing: takes everything, gives nothing. */
export interface NullChardev extends CommonChardev {
  readonly kind: "null";
}

/** Memory that keeps what was written last. */
export interface RingbufChardev extends CommonChardev {
  readonly kind: "ringbuf";
  /** Bytes that are kept, a power of two. */
  readonly size: number;
}

/** A command of the shell; not a back end of QEMU. */
export interface ExecChardev extends CommonChardev {
  readonly kind: "exec";
  readonly command: string;
}

/** Any of them. */
export type Chardev =
  | SocketChardev
  | StdioChardev
  | PtyChardev
  | FileChardev
  | PipeChardev
  | NullChardev
  | RingbufChardev
  | ExecChardev;
