/** Credentials whose files may be read again while sessions run. */

import { createHash } from "node:crypto";
import type { CredentialSet, TlsCreds } from "./types.ts";

/** A set with what tells it from another. */
export interface ReadSet {
  readonly set: CredentialSet;
  /** Of all bytes that were read. */
  readonly digest: string;
}

/** Digests the contents of files, each with its length. */
export function digestOf(files: readonly Uint8Array[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file.length}:`).update(file);
  return hash.digest("hex");
}

/**
 * Makes an object of what is read now and may be read again. The engine keeps a set alive as long
 * as a session uses it, so the old one is let go at the swap.
 */
export async function reloadable(read: () => ReadSet | Promise<ReadSet>): Promise<TlsCreds> {
  let now = await read();
  let isDisposed = false;
  let turn: Promise<unknown> = Promise.resolve();

  async function swap(): Promise<boolean> {
    if (isDisposed) return false;
    const next = await read();
    if (isDisposed || next.digest === now.digest) {
      next.set[Symbol.dispose]();
      return false;
    }
    const old = now.set;
    now = next;
    old[Symbol.dispose]();
    return true;
  }

  return {
    get id() {
      return now.set.id;
    },
    get kind() {
      return now.set.kind;
    },
    get endpoint() {
      return now.set.endpoint;
    },
    get verifyPeer() {
      return now.set.verifyPeer;
    },
    get dir() {
      return now.set.dir;
    },
    ...(now.set.priority === undefined ? {} : { priority: now.set.priority }),
    get engine() {
      return now.set.engine;
    },
    get credentials() {
      return now.set.credentials;
    },
    get identity() {
      return now.set.identity;
    },
    get trust() {
      return now.set.trust;
    },
    get crls() {
      return now.set.crls;
    },
    get clock() {
      return now.set.clock;
    },
    reload() {
      const mine = turn.then(swap);
      turn = mine.catch(() => {});
      return mine;
    },
    [Symbol.dispose]() {
      isDisposed = true;
      now.set[Symbol.dispose]();
    },
  };
}
