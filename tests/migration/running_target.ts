/** A target in this process, for tests: what happens to it can be waited for. */

import type { Address } from "../../channel/mod.ts";
import { ObjectRegistry } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { MigrationError } from "../../migration/error.ts";
import { defaultParameters } from "../../migration/parameters.ts";
import { runTarget, type TargetEvent, type TargetOptions } from "../../migration/target_service.ts";

/** Any free port of this host. */
export const ANY: Address = { kind: "tcp", host: "127.0.0.1", port: 0 };

/** A target that runs. */
export interface Running extends AsyncDisposable {
  readonly address: Address;
  readonly end: ReturnType<typeof runTarget>;
  /** Waits until so many events of a kind have come, and gives the last. */
  event<K extends TargetEvent["kind"]>(
    kind: K,
    count?: number,
  ): Promise<Extract<TargetEvent, { kind: K }>>;
  readonly events: readonly TargetEvent[];
  stop(): void;
}

/** Runs a target in this process, until the test ends. */
export async function start(options: Partial<TargetOptions> = {}): Promise<Running> {
  const objects = new ObjectRegistry({ engine: await chooseEngine() });
  const stop = new AbortController();
  const events: TargetEvent[] = [];
  let changed = Promise.withResolvers<void>();
  const end = runTarget({
    address: ANY,
    objects,
    parameters: defaultParameters(),
    signal: stop.signal,
    onEvent: (event) => {
      events.push(event);
      changed.resolve();
      changed = Promise.withResolvers();
    },
    ...options,
  });
  end.catch(() => {});
  const running: Running = {
    address: ANY,
    end,
    events,
    async event(kind, count = 1) {
      for (;;) {
        const found = events.filter((event) => event.kind === kind);
        if (found.length >= count) return found[count - 1] as never;
        await changed.promise;
      }
    },
    stop: () => stop.abort(new MigrationError("ABORTED")),
    async [Symbol.asyncDispose]() {
      running.stop();
      await end.catch(() => {});
      objects[Symbol.dispose]();
    },
  };
  const failed = end.then(() => Promise.reject(new Error("it has ended")));
  const { address } = await Promise.race([running.event("listening"), failed]);
  return Object.assign(running, { address });
}
