/** A client of QMP, QEMU's machine protocol: one JSON object a line, over any byte channel. */

import { printable } from "../base/mod.ts";
import type { ByteChannel } from "../engine/mod.ts";
import { MigrationError } from "./error.ts";

/** Longest time in ms that an answer may take unless the caller says otherwise. */
export const QMP_TIMEOUT = 30_000;
/** Longest line that is read, in bytes: the whole schema of QEMU has some 200 KB. */
const MAX_LINE = 8 * 1024 * 1024;
/** Events that are kept for whoever waits for one later. */
const MAX_EVENTS = 256;
/** How often in ms a state is asked for. */
const POLL = 20;

/** What happened in QEMU by itself. */
export interface QmpEvent {
  /** `MIGRATION`, `STOP`, `RESUME`, … */
  readonly event: string;
  readonly data?: unknown;
}

/** How long one waits. */
export interface QmpWait {
  /** ms; {@linkcode QMP_TIMEOUT} by default. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** The state of a migration as `query-migrate` tells it. */
export interface QmpMigration {
  /** `none` before the first. */
  readonly status: string;
  readonly "error-desc"?: string;
  /** ms. */
  readonly "total-time"?: number;
  readonly downtime?: number;
  readonly ram?: Readonly<Record<string, number>>;
  readonly "socket-address"?: readonly { readonly host?: string; readonly port?: string }[];
}

/** A negotiated session. */
export interface QmpClient extends AsyncDisposable {
  /** QEMU's own version: `7.2.22`. */
  readonly version: string;
  /**
   * Executes a command and gives what it returns; several may be under way.
   *
   * @throws {MigrationError} `QMP` with QEMU's text if QEMU refuses, `QMP_TIMEOUT`, `QMP_CLOSED`.
   */
  execute(command: string, args?: object, wait?: QmpWait): Promise<unknown>;
  /** Waits for an event of that name, one that came already included; each is given once. */
  event(name: string, wait?: QmpWait): Promise<QmpEvent>;
  close(): void;
}

interface Message {
  readonly QMP?: { readonly version?: { readonly qemu?: Readonly<Record<string, number>> } };
  readonly id?: unknown;
  readonly return?: unknown;
  readonly error?: { readonly class?: unknown; readonly desc?: unknown };
  readonly event?: unknown;
  readonly data?: unknown;
}

/**
 * Takes a channel over, reads QEMU's greeting and negotiates.
 *
 * @throws {MigrationError} `QMP_TIMEOUT`, `QMP_CLOSED` if nobody greets, `QMP` if it is not QMP.
 */
export async function openQmp(channel: ByteChannel, wait: QmpWait = {}): Promise<QmpClient> {
  const session = new Session(channel);
  try {
    const greeting = await session.greeting(wait);
    const { major = 0, minor = 0, micro = 0 } = greeting.QMP?.version?.qemu ?? {};
    await session.execute("qmp_capabilities", undefined, wait);
    return Object.assign(session, { version: `${major}.${minor}.${micro}` });
  } catch (error) {
    session.close();
    throw error;
  }
}

/**
 * Waits until a migration has ended, well or not.
 *
 * @returns `completed`, `failed` or `cancelled`, with QEMU's reason where it gives one.
 */
export function migrationEnd(qmp: QmpClient, wait: QmpWait = {}): Promise<QmpMigration> {
  return poll("end of the migration", wait, async () => {
    const state = await qmp.execute("query-migrate", undefined, wait) as Partial<QmpMigration>;
    const status = state.status ?? "none";
    return ["completed", "failed", "cancelled"].includes(status) ? { ...state, status } : undefined;
  });
}

/** Waits until the guest is in a run state such as `running` or `inmigrate`. */
export function runState(qmp: QmpClient, wanted: string, wait: QmpWait = {}): Promise<string> {
  return poll(`run state ${wanted}`, wait, async () => {
    const { status } = await qmp.execute("query-status", undefined, wait) as { status: string };
    return status === wanted ? status : undefined;
  });
}

async function poll<T>(
  what: string,
  wait: QmpWait,
  ask: () => Promise<T | undefined>,
): Promise<T> {
  const timeout = wait.timeout ?? QMP_TIMEOUT;
  for (const start = Date.now(); Date.now() - start < timeout;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    wait.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  throw late(what, timeout);
}

interface Waiter {
  resolve(message: Message): void;
  reject(error: unknown): void;
}

class Session {
  readonly #commands = new Map<number, Waiter>();
  readonly #events: QmpEvent[] = [];
  readonly #eventWaiters = new Set<Waiter & { readonly name: string }>();
  readonly #greeting = Promise.withResolvers<Message>();
  #sending: Promise<void> = Promise.resolve();
  #nextId = 1;
  #failure: MigrationError | undefined;

  constructor(readonly channel: ByteChannel) {
    this.#greeting.promise.catch(() => {});
    this.#receive().then(
      () => this.#fail(new MigrationError("QMP_CLOSED")),
      (error) => this.#fail(error),
    );
  }

  greeting(wait: QmpWait): Promise<Message> {
    return limited(this.#greeting.promise, "greeting", wait);
  }

  async execute(command: string, args?: object, wait: QmpWait = {}): Promise<unknown> {
    if (this.#failure !== undefined) throw this.#failure;
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    this.#commands.set(id, { resolve, reject });
    const text = JSON.stringify({ execute: command, ...(args && { arguments: args }), id });
    this.#sending = this.#sending.then(() =>
      this.channel.write(new TextEncoder().encode(text + "\r\n"))
    ).catch((error) => this.#fail(error));
    try {
      const answer = await limited(promise, `answer to ${command}`, wait);
      if (answer.error === undefined) return answer.return;
      throw new MigrationError("QMP", { text: printable(String(answer.error.desc)) });
    } finally {
      this.#commands.delete(id);
    }
  }

  async event(name: string, wait: QmpWait = {}): Promise<QmpEvent> {
    const index = this.#events.findIndex(({ event }) => event === name);
    if (index >= 0) return this.#events.splice(index, 1)[0]!;
    if (this.#failure !== undefined) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const waiter = { name, resolve, reject };
    this.#eventWaiters.add(waiter);
    try {
      return toEvent(await limited(promise, `event ${name}`, wait));
    } finally {
      this.#eventWaiters.delete(waiter);
    }
  }

  close(): void {
    this.#fail(new MigrationError("QMP_CLOSED", { cause: "it was closed here" }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof MigrationError
      ? error
      : new MigrationError("QMP_CLOSED", { cause: String((error as Error).message) });
    this.channel.close();
    this.#greeting.reject(this.#failure);
    for (const waiter of [...this.#commands.values(), ...this.#eventWaiters]) {
      waiter.reject(this.#failure);
    }
  }

  async #receive(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    const decoder = new TextDecoder();
    let line = "";
    for (;;) {
      const count = await this.channel.read(buffer);
      if (count === null) return;
      const parts = decoder.decode(buffer.subarray(0, count), { stream: true }).split("\n");
      parts[0] = line + parts[0];
      line = parts.pop()!;
      if (line.length > MAX_LINE) throw new MigrationError("QMP", { cause: "a line is too long" });
      for (const part of parts) if (part.trim() !== "") this.#dispatch(parseLine(part));
    }
  }

  #dispatch(message: Message): void {
    if (message.QMP !== undefined) return this.#greeting.resolve(message);
    if (typeof message.event === "string") {
      for (const waiter of this.#eventWaiters) {
        if (waiter.name === message.event) {
          this.#eventWaiters.delete(waiter);
          return waiter.resolve(message);
        }
      }
      this.#events.push(toEvent(message));
      if (this.#events.length > MAX_EVENTS) this.#events.shift();
      return;
    }
    const waiter = typeof message.id === "number" ? this.#commands.get(message.id) : undefined;
    // An error without an id is QEMU's answer to what it could not parse.
    if (waiter === undefined && message.error !== undefined) {
      throw new MigrationError("QMP", { text: printable(String(message.error.desc)) });
    }
    waiter?.resolve(message);
  }
}

function parseLine(line: string): Message {
  let message: unknown;
  try {
    message = JSON.parse(line);
  } catch {
    message = undefined;
  }
  if (typeof message === "object" && message !== null) return message;
  throw new MigrationError("QMP", { cause: `this is no QMP: ${printable(line.slice(0, 80))}` });
}

function toEvent(message: Message): QmpEvent {
  return { event: String(message.event), data: message.data };
}

async function limited<T>(promise: Promise<T>, what: string, wait: QmpWait): Promise<T> {
  wait.signal?.throwIfAborted();
  const timeout = wait.timeout ?? QMP_TIMEOUT;
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late(what, timeout)), timeout);
  const abort = () => reject(wait.signal?.reason);
  wait.signal?.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, ended]);
  } finally {
    clearTimeout(timer);
    wait.signal?.removeEventListener("abort", abort);
  }
}

function late(what: string, timeout: number): MigrationError {
  return new MigrationError("QMP_TIMEOUT", { option: what, value: `${timeout / 1000} s` });
}
