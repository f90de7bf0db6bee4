/** A source that a monitor drives, and that tells what happens to it. */

import type { TlsChannel, Transport } from "../channel/mod.ts";
import type { ObjectRegistry } from "../creds/mod.ts";
import { makeEventHub } from "../monitor/mod.ts";
import type { MigrationCapabilities } from "./capabilities.ts";
import { MIGRATION_EVENTS, type SourceControls, tellEvents } from "./control.ts";
import { MigrationError } from "./error.ts";
import type { MigrationParameters } from "./parameters.ts";
import { makeRunState, type RunState } from "./run_state.ts";
import type { Sending } from "./send.ts";
import { runSource } from "./source_service.ts";
import {
  beginState,
  countPass,
  endState,
  initialRam,
  initialState,
  isUnderWay,
  type MigrationState,
  setStatus,
} from "./state.ts";
import type { StreamSource } from "./stream_file.ts";

/** What happens at a source. */
export type SourceEvent =
  | { readonly kind: "connected"; readonly peer: string; readonly tls: TlsChannel | undefined }
  /** All is written, and the destination is to acknowledge it. */
  | { readonly kind: "sent" }
  /** A command or a descriptor takes long to acknowledge it, and may never do so. */
  | { readonly kind: "unanswered" }
  | { readonly kind: "completed"; readonly sending: Sending; readonly tls: TlsChannel | undefined }
  /** An earlier guest has made room for this one, and is in this file now. */
  | { readonly kind: "set aside"; readonly file: string }
  /** A failure has left an earlier file overwritten in part, from an offset in bytes on. */
  | { readonly kind: "spoilt"; readonly file: string; readonly offset: number }
  | {
    readonly kind: "failed";
    readonly address: Transport;
    readonly error: unknown;
    /** Whether somebody has broken it off. */
    readonly cancelled: boolean;
  };

/** What a source is made of. */
export interface SourceSetup {
  readonly objects: ObjectRegistry;
  readonly parameters: MigrationParameters;
  readonly capabilities: MigrationCapabilities;
  readonly source: StreamSource;
  /** UUID of the guest; the source's by default. */
  readonly uuid?: string;
  /** Bytes of memory of the guest. */
  readonly memory: number;
  /** Whether the guest runs until it has gone, or was recorded. */
  readonly running: boolean;
  /** Longest silence of the peer in ms. */
  readonly idleTimeout: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: SourceEvent) => void;
}

/** Makes a source that nothing has been done with yet. */
export function controlSource(setup: SourceSetup): SourceControls {
  const events = makeEventHub(MIGRATION_EVENTS);
  const state = initialState();
  const { parameters, capabilities, objects } = setup;
  tellEvents({ state, capabilities, events });
  const { source } = setup;
  const uuid = setup.uuid ?? source.uuid;
  const run = makeRunState(setup.running ? "running" : "paused", events, source.run);
  let abort = new AbortController();
  let switchOver = Promise.withResolvers<void>();
  return {
    side: "source",
    state,
    parameters,
    capabilities,
    objects,
    events,
    run,
    ...(uuid === undefined ? {} : { uuid }),
    migrate(address) {
      abort = new AbortController();
      switchOver = Promise.withResolvers();
      const signal = AbortSignal.any([setup.signal, abort.signal]);
      const beforeSwitchover = () => switchOver.promise;
      return migrateOnce({ ...setup, signal, beforeSwitchover }, state, run, address);
    },
    cancel() {
      if (isUnderWay(state)) {
        abort.abort(new MigrationError("ABORTED", { cause: "migrate_cancel" }));
      }
    },
    switchOver: () => switchOver.resolve(),
  };
}

async function migrateOnce(
  setup: SourceSetup & { readonly beforeSwitchover: () => Promise<void> },
  state: MigrationState,
  run: RunState,
  address: Transport,
): Promise<void> {
  const { source, signal, memory, beforeSwitchover } = setup;
  const { length } = source;
  const before = run.status;
  let tls: TlsChannel | undefined;
  beginState(state, "setup");
  try {
    const sending = await runSource({
      ...setup,
      address,
      context: { state, beforeSwitchover, onStopped: () => run.set("finish-migrate") },
      onConnected: (peer, secured) => {
        tls = secured;
        state.ram = initialRam(memory);
        state.setupTime = performance.now() - state.started!;
        // As QEMU does: the first pass is counted before it is known to be on its way.
        countPass(state);
        setStatus(state, "active");
        setup.onEvent({ kind: "connected", peer, tls });
      },
      onSent: () => setup.onEvent({ kind: "sent" }),
      onUnanswered: () => setup.onEvent({ kind: "unanswered" }),
      onSetAside: (file) => setup.onEvent({ kind: "set aside", file }),
      onSpoilt: (file, offset) => setup.onEvent({ kind: "spoilt", file, offset }),
      onProgress: (bytes) => {
        state.bytes = bytes;
        // How far a recorded stream is says how much of the memory is gone, as near as one can tell.
        if (length === undefined) return;
        state.ram!.remaining = Math.round(memory * Math.max(0, 1 - bytes / length));
      },
    });
    state.ram!.remaining = 0;
    run.set("finish-migrate");
    run.set("postmigrate");
    endState(state, "completed");
    setup.onEvent({ kind: "completed", sending, tls });
  } catch (error) {
    const text = isSignal(error)
      ? "stopped by a signal"
      : error instanceof Error
      ? error.message
      : String(error);
    endState(state, signal.aborted ? "cancelled" : "failed", text);
    // The guest goes on where it was: nothing of it is lost.
    run.set(before);
    setup.onEvent({ kind: "failed", address, error, cancelled: signal.aborted });
    throw error;
  }
}

/** An abort without a reason of ours: the program is to end. */
function isSignal(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
