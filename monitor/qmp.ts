/** QMP, QEMU's machine protocol, as a server: one client on one channel. */

import { VirtcredsError } from "../base/mod.ts";
import { builtInQmp } from "./_built_in_qmp.ts";
import { makeSession, type MonitorChannel, readChannel } from "./_session.ts";
import { type Monitor, type MonitorSession, noCommand } from "./command.ts";
import { errorClass, MonitorError, refused } from "./error.ts";
import { isJsonObject, type JsonObject, type JsonValue, writeJson } from "./json.ts";
import { type JsonInput, readJson } from "./json_stream.ts";
import { idOf, type QmpRequest, readRequest } from "./qmp_request.ts";
import { listOf, oneOf, optional, readMembers } from "./shape.ts";
import { versionInfo } from "./version.ts";

/**
 * Serves one client until it leaves, the signal aborts or `quit`; the channel is closed then.
 *
 * Commands are executed one after the other; one that is sent out of band has its turn as well,
 * for no command of ours waits for anything but the system.
 */
export async function serveQmp(
  channel: MonitorChannel,
  monitor: Monitor,
  signal?: AbortSignal,
): Promise<void> {
  await using session = new QmpSession(channel, monitor, signal);
  await session.run();
}

class QmpSession implements AsyncDisposable {
  readonly #commands: ReadonlyMap<string, Monitor["qmp"][number]>;
  readonly #session: MonitorSession & AsyncDisposable;
  #negotiated = false;
  #oob = false;
  #stopListening: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(readonly channel: MonitorChannel, readonly monitor: Monitor, signal?: AbortSignal) {
    const commands = [...builtInQmp(monitor), ...monitor.qmp];
    this.#commands = new Map(commands.map((command) => [command.name, command]));
    this.#session = makeSession(channel, signal);
  }

  async run(): Promise<void> {
    this.#send({ QMP: { version: versionInfo(), capabilities: ["oob"] } });
    const push = readJson();
    for await (const bytes of readChannel(this.channel)) {
      for (const input of push(bytes)) {
        if (await this.#answer(input) === "quit") return await this.#quit();
      }
      // A client that sends and never reads is read from no further.
      await this.#writing;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening?.();
    await this.#session[Symbol.asyncDispose]();
    this.channel.close();
  }

  async #answer(input: JsonInput): Promise<"quit" | void> {
    let id: JsonObject = {};
    try {
      if (input.kind === "error") throw refused(input.text);
      if (!isJsonObject(input.value)) throw refused("QMP input must be a JSON object");
      id = idOf(input.value);
      const request = readRequest(input.value, this.#oob);
      const answer = await this.#execute(request);
      if (request.command === "quit") {
        this.monitor.events.emit("SHUTDOWN", { guest: false, reason: "host-qmp-quit" });
      }
      this.#send({ return: answer, ...id });
      if (request.command === "quit") return "quit";
    } catch (error) {
      if (!(error instanceof VirtcredsError)) throw error;
      this.#send({ ...id, error: { class: errorClass(error), desc: error.message } });
    }
  }

  async #execute({ command, args, oob }: QmpRequest): Promise<JsonValue> {
    if (!this.#negotiated && command !== "qmp_capabilities") {
      throw new MonitorError("COMMAND_NOT_FOUND", {
        text: "Expecting capabilities negotiation with 'qmp_capabilities'",
      });
    }
    const known = this.#commands.get(command);
    if (known === undefined) throw noCommand(command);
    if (oob && !known.oob) throw refused(`The command ${command} does not support OOB`);
    if (command === "qmp_capabilities") return this.#negotiate(args);
    return await known.run(args, this.#session);
  }

  #negotiate(args: JsonObject): JsonValue {
    if (this.#negotiated) {
      throw new MonitorError("COMMAND_NOT_FOUND", {
        text: "Capabilities negotiation is already complete, command ignored",
      });
    }
    const { enable } = readMembers(NEGOTIATION, args);
    this.#negotiated = true;
    this.#oob = enable?.includes("oob") ?? false;
    this.#stopListening = this.monitor.events.listen((event) => this.#send(event));
    return {};
  }

  #send(message: JsonObject): void {
    const bytes = new TextEncoder().encode(`${writeJson(message)}\r\n`);
    // A client that is gone shows when it is read from.
    this.#writing = this.#writing.then(() => this.channel.write(bytes)).catch(() => {});
  }

  async #quit(): Promise<void> {
    await this.#writing;
    this.monitor.quit();
  }
}

const NEGOTIATION = {
  enable: optional(listOf(oneOf(["oob"]))),
} as const;
