/** Whether a guest runs, in the words of QEMU's run states, and who is told when that changes. */

import { type EventHub, type MonitorError, refused } from "../monitor/mod.ts";

/** The run states that a source or a target of ours goes through (qapi/run-state.json). */
export type RunStatus =
  | "running"
  | "paused"
  | "prelaunch"
  | "inmigrate"
  | "finish-migrate"
  | "postmigrate";

/** A guest that runs or stands still. */
export interface RunState {
  readonly status: RunStatus;
  readonly running: boolean;
  /** Goes to a state; `STOP` and `RESUME` are told where it stands still or goes on. */
  set(status: RunStatus): void;
  /** `stop`: a guest that runs stands still. */
  stop(): void;
  /**
   * `cont`: a guest that stands still goes on; one that is being migrated later.
   *
   * @throws {MonitorError} `GENERIC` While it is switched over.
   */
  cont(): void;
}

/**
 * Makes a guest's run state.
 *
 * @param onChange Called when the guest is to stand still, or to go on.
 */
export function makeRunState(
  status: RunStatus,
  events: EventHub,
  onChange: (running: boolean) => void = () => {},
): RunState {
  let current = status;
  function set(next: RunStatus): void {
    const [was, is] = [current === "running", next === "running"];
    current = next;
    if (was === is) return;
    onChange(is);
    events.emit(is ? "RESUME" : "STOP");
  }
  return {
    get status() {
      return current;
    },
    get running() {
      return current === "running";
    },
    set,
    stop() {
      if (current === "running") set("paused");
    },
    cont() {
      // As QEMU: an incoming guest decides at its end, and one at the switch is not touched.
      if (current === "inmigrate") return;
      if (current === "finish-migrate") throw switching();
      set("running");
    },
  };
}

function switching(): MonitorError {
  return refused("Resetting the Virtual Machine is required");
}
