/** What the steps of the demo share. */

import type { ObjectRegistry } from "../creds/mod.ts";
import type { Engine } from "../engine/mod.ts";

/** The two hosts: a guest goes from the first to the second. */
export const HOSTS = ["host-a.example", "host-b.example"] as const;

/** Text that crosses the serial port. */
export const LINE = "hello from the other side";

/** What was verified on a connection. */
export interface Verified {
  /** Who spoke to whom, and as what. */
  readonly what: string;
  /** The name that the TLS client checked in the server's certificate. */
  readonly name: string;
  /** The distinguished name that the TLS server checked in the client's. */
  readonly client: string;
  readonly version: string;
  readonly cipher: string;
  readonly bytes: number;
  readonly seconds: number;
  /** What it led to. */
  readonly result: string;
}

/** What a kind of guest can show. */
export interface DemoGuest {
  /** In words, with version. */
  readonly description: string;
  /** Carries a guest's state from the first host to the second. */
  migrate(stage: Stage): AsyncIterable<Verified>;
  /** Sends {@linkcode LINE} through a serial port and gets it back. */
  serial(stage: Stage): AsyncIterable<Verified>;
}

/** What a step works with. */
export interface Stage {
  readonly dir: string;
  readonly engine: Engine;
  /** Holds `a-client`, `a-server`, `b-client`, `b-server`. */
  readonly objects: ObjectRegistry;
  /** The credentials directory of a host. */
  credentials(host: string): string;
}
