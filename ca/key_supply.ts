/** Hosts' keys made ahead of their use, as many at once as the machine has processors. */

import type { KeyType } from "../engine/mod.ts";
import type { IssueContext } from "./issue.ts";
import type { HostRequest, KeptKey } from "./request.ts";

/** Gives new keys; those that nobody took are forgotten with it. */
export interface KeySupply {
  take(type: KeyType): Promise<KeptKey>;
}

/** Makes one key. */
export async function makeKey(context: IssueContext, type: KeyType): Promise<KeptKey> {
  using key = await context.engine.generateKey(type);
  return { publicKey: key.publicKey, pem: await key.exportPem(context.hostPassphrase) };
}

/**
 * Supplies the keys of many hosts. The primes of an RSA key and the rounds of a passphrase are work
 * for other threads, of which several can be at it; other keys are made when they are asked for.
 */
export function supplyKeys(requests: readonly HostRequest[], context: IssueContext): KeySupply {
  const wanted = new Map<KeyType, number>();
  for (const { roles, keyType, kept } of requests) {
    const count = roles.filter((role) => !kept?.keys.has(role)).length;
    wanted.set(keyType, (wanted.get(keyType) ?? 0) + count);
  }
  const ready = new Map<KeyType, Promise<KeptKey>[]>();
  const start = (type: KeyType, queue: Promise<KeptKey>[]) => {
    const key = makeKey(context, type);
    // Whoever takes it hears of its failure.
    key.catch(() => {});
    queue.push(key);
    wanted.set(type, (wanted.get(type) ?? 0) - 1);
  };
  return {
    take(type) {
      if (context.hostPassphrase === undefined && !type.startsWith("rsa-")) {
        return makeKey(context, type);
      }
      let queue = ready.get(type);
      if (queue === undefined) ready.set(type, queue = []);
      while (queue.length < AT_ONCE && (wanted.get(type) ?? 0) > 0) start(type, queue);
      return queue.shift() ?? makeKey(context, type);
    },
  };
}

/** One more than there are processors, so that none waits while a set is written. */
const AT_ONCE = navigator.hardwareConcurrency + 1;
