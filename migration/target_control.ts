/** A target that a monitor drives, and that tells what happens to it. */

import type { Transport } from "../channel/mod.ts";
import { makeEventHub } from "../monitor/mod.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import { MIGRATION_EVENTS, type TargetControls, tellEvents } from "./control.ts";
import type { MigrationParameters } from "./parameters.ts";
import { makeRunState } from "./run_state.ts";
import { beginState, endState, initialState } from "./state.ts";
import { runTarget, type TargetEvent, type TargetOptions } from "./target_service.ts";

/** What a target is made of. */
export interface TargetSetup
  extends Omit<TargetOptions, "address" | "parameters" | "multifd" | "postcopy" | "signal"> {
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  readonly signal: AbortSignal;
}

/** A target, and its end. */
export interface ControlledTarget {
  readonly controls: TargetControls;
  /** Settles with the end of the last migration that was listened for. */
  readonly ended: Promise<void>;
  /** Settles when nothing of it runs any more, once its signal has aborted. */
  settled(): Promise<void>;
}

/** Makes a target that does not listen yet. */
export function controlTarget(setup: TargetSetup): ControlledTarget {
  const events = makeEventHub(MIGRATION_EVENTS);
  const state = initialState();
  const { parameters, capabilities, objects } = setup;
  tellEvents({ state, capabilities, events });
  const run = makeRunState("inmigrate", events);
  const end = Promise.withResolvers<void>();
  end.promise.catch(() => {});
  const runs: Promise<void>[] = [];

  function note(event: TargetEvent): void {
    switch (event.kind) {
      case "listening":
        state.address = event.address;
        // QEMU has told of it already.
        state.status = "setup";
        break;
      case "active":
        beginState(state);
        break;
      case "refused":
      case "gathering":
      case "set aside":
      case "command failed":
        break;
      case "failed":
        endState(state, "failed", messageOf(event.error));
        break;
      case "completed":
        state.bytes = event.reception.summary.bytes;
        state.pages = event.reception.summary.pages;
        // What is kept in a file is a guest that stands still.
        run.set(setup.guestRam === undefined ? "paused" : "running");
        endState(state, "completed");
    }
    setup.onEvent?.(event);
  }

  const controls: TargetControls = {
    side: "target",
    state,
    parameters,
    capabilities,
    objects,
    events,
    run,
    isStarted: false,
    incoming(address: Transport): Promise<void> {
      const ready = Promise.withResolvers<void>();
      const running = runTarget({
        ...setup,
        address,
        signal: setup.signal,
        postcopy: () => capabilities["postcopy-ram"],
        multifd: () =>
          capabilities.multifd
            ? {
              channels: parameters["multifd-channels"],
              compression: parameters["multifd-compression"],
            }
            : undefined,
        onProgress: (bytes) => {
          state.bytes = bytes;
        },
        onEvent: (event) => {
          note(event);
          if (event.kind === "listening") ready.resolve();
        },
      }).then(() => end.resolve(), (error) => {
        ready.reject(error);
        // Whoever started it has been told that it does not listen.
        if (state.status === "none") return;
        if (state.status !== "failed") endState(state, "failed", messageOf(error));
        end.reject(error);
      });
      runs.push(running);
      return ready.promise;
    },
    cancel: () => {},
  };
  return { controls, ended: end.promise, settled: async () => void await Promise.all(runs) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
