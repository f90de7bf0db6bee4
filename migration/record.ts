/** The course of a migration, sampled while it goes, for a report. */

import { isUnderWay, type MigrationState, type MigrationStatus } from "./state.ts";

/** Where a migration stood at one time. */
export interface Sample {
  /** ms since its start. */
  readonly at: number;
  /** Bytes moved so far. */
  readonly bytes: number;
  /** Bytes of memory that are still to be sent, where a source knows. */
  readonly remaining?: number;
  /** Bytes a second that the guest writes. */
  readonly dirtyRate?: number;
  /** Percent of its time that the guest loses. */
  readonly throttle?: number;
}

/** What happened at one time. */
export interface Mark {
  /** ms since the start. */
  readonly at: number;
  /** A status, or the number of a pass over the memory. */
  readonly what: MigrationStatus | number;
}

/** The course of a migration. */
export interface Course {
  readonly samples: readonly Sample[];
  readonly marks: readonly Mark[];
}

/** Most samples of one migration; a longer one is sampled half as often from then on. */
const MOST = 2000;
const MOST_MARKS = 1000;
/** ms between two samples at first. */
const INTERVAL = 100;

/** Notes the course of what a state goes through, until disposed. */
export class CourseRecorder implements Disposable {
  #samples: Sample[] = [];
  #marks: Mark[] = [];
  #interval = INTERVAL;
  #timer: ReturnType<typeof setTimeout>;

  constructor(readonly state: MigrationState) {
    const { onStatus, onPass } = state;
    state.onStatus = (status) => {
      onStatus?.(status);
      // A new migration has a course of its own; a target begins at once.
      const isFirst = status === "active" && this.#marks.at(-1)?.what !== "setup";
      if (status === "setup" || isFirst) this.#clear();
      this.#mark(status);
      this.#sample();
    };
    state.onPass = (pass) => {
      onPass?.(pass);
      this.#mark(pass);
    };
    this.#timer = this.#tick();
  }

  get course(): Course {
    return { samples: this.#samples, marks: this.#marks };
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #tick(): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      if (isUnderWay(this.state)) this.#sample();
      this.#timer = this.#tick();
    }, this.#interval);
  }

  #clear(): void {
    this.#samples = [];
    this.#marks = [];
    this.#interval = INTERVAL;
  }

  #mark(what: Mark["what"]): void {
    if (this.#marks.length < MOST_MARKS) this.#marks.push({ at: this.#now(), what });
  }

  #sample(): void {
    const { bytes, ram, throttle } = this.state;
    this.#samples.push({
      at: this.#now(),
      bytes,
      ...(ram === undefined
        ? {}
        : { remaining: ram.remaining, dirtyRate: ram.dirtyRate * ram.pageSize }),
      ...(throttle === undefined ? {} : { throttle }),
    });
    if (this.#samples.length < MOST) return;
    this.#samples = this.#samples.filter((_, i) => i % 2 === 0);
    this.#interval *= 2;
  }

  #now(): number {
    const { started, ended } = this.state;
    return started === undefined ? 0 : (ended ?? performance.now()) - started;
  }
}
