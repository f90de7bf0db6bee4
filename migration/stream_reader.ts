/**
 * Reads a migration stream as it arrives: a state machine that is given chunks, looks at them
 * where they lie, and knows when the stream is whole. It holds one device section at most.
 */

import { type Parser, StreamInput } from "./_stream_input.ts";
import { readHeader, type StreamHeader } from "./_stream_header.ts";
import { skipToDescription } from "./_stream_opaque.ts";
import { located, MigrationError } from "./error.ts";
import { readCommand, type StreamCommand } from "./stream_command.ts";
import { RAM_SAVE_VERSION, SectionType, StreamLimits } from "./stream_constants.ts";
import { skipDevicePayload } from "./stream_device.ts";
import { RamState, type RamVisitor } from "./stream_ram.ts";
import type { DeviceSection, StreamSummary, Validation } from "./stream_summary.ts";
import { describeMismatch } from "./stream_vmdescription.ts";

/** How a stream is read. */
export interface StreamReaderOptions {
  /** Told of each command of the source, in order, while the chunk is being read. */
  readonly onCommand?: (command: StreamCommand) => void;
  /** Shown every page; delta and compressed pages are refused then. */
  readonly visitor?: RamVisitor;
  /**
   * Whether pages come on other channels: where all of these must have caught up the reader is
   * `held` until it is resumed. Without it what belongs to multifd is refused.
   */
  readonly multifd?: boolean;
  /** Whether the source may switch to post-copy; it is refused where it does otherwise. */
  readonly postcopy?: boolean;
  /**
   * Told, by its offset in the stream, where bytes begin that only place pages or belong to
   * multifd (`pages`), and where the stream's other records go on (`records`). Commands, and what
   * closes the list of blocks and the last round, count among the pages: see `onCommand` and
   * {@linkcode RamVisitor}.
   */
  readonly onBorder?: (kind: "pages" | "records", offset: number) => void;
}

/** A stream being read. */
export interface StreamReader {
  /**
   * Looks at the next bytes; they belong to the caller again when it returns. What stands behind
   * the end marker is ignored, as a real destination does.
   *
   * @throws {MigrationError} If the stream is broken; the reader is of no more use then.
   */
  push(bytes: Uint8Array): void;
  /** Whether it waits for {@linkcode resume}; the last chunk is still in use then. */
  readonly held: boolean;
  /**
   * Goes on behind the place at which the channels had to catch up.
   *
   * @throws {MigrationError} As `push`.
   */
  resume(): void;
  /**
   * Says that no more bytes come.
   *
   * @throws {MigrationError} `STREAM_TRUNCATED` or `STREAM_END_UNKNOWN` if the end marker was not
   * reached.
   */
  end(): StreamSummary;
  /** Whether the end marker, and the description behind it, was read in full. */
  readonly complete: boolean;
  /** Bytes that belong to the stream among those that were pushed. */
  readonly bytes: number;
  /** What is known so far. */
  summary(): StreamSummary;
}

/**
 * Makes a reader.
 *
 * @example Bytes that are no stream
 * ```ts
 * import { readStream } from "@virtcreds/virtcreds/migration";
 * import { assertThrows } from "@std/assert";
 *
 * const reader = readStream();
 * assertThrows(() => reader.push(new Uint8Array(8)), Error, "Not a migration stream");
 * ```
 */
export function readStream(options: StreamReaderOptions = {}): StreamReader {
  const input = new StreamInput();
  const state = new ReaderState(input, options);
  const parser = state.stream();
  let complete = false;
  let failure: unknown;

  function run(): void {
    if (failure !== undefined) throw failure;
    try {
      complete = parser.next().done === true;
    } catch (error) {
      failure = error;
      throw error;
    }
  }

  return {
    push(bytes) {
      if (complete || bytes.length === 0) return;
      input.feed(bytes);
      run();
      if (!complete && !input.held) input.release();
    },
    get held() {
      return input.held && !complete;
    },
    resume() {
      run();
      if (!complete && !input.held) input.release();
    },
    end() {
      input.ended = true;
      if (!complete) run();
      return state.summary();
    },
    get complete() {
      return complete;
    },
    get bytes() {
      return input.offset;
    },
    summary: () => state.summary(),
  };
}

class ReaderState {
  #header: StreamHeader | undefined;
  #ram: RamState | undefined;
  #ramId: number | undefined;
  readonly #devices: DeviceSection[] = [];
  readonly #commands = new Set<string>();
  #returnPath = false;
  #postcopy = false;
  /** Whether the guest runs at the destination (POSTCOPY_RUN). */
  #running = false;
  #inPart = false;
  #vmdescription: number | undefined;
  #validation: Validation | undefined;

  constructor(readonly input: StreamInput, readonly options: StreamReaderOptions) {}

  summary(): StreamSummary {
    const header = this.#header ?? { pageSize: 0, capabilities: [] };
    return {
      bytes: this.input.offset,
      ...header,
      blocks: this.#ram?.blocks ?? [],
      pages: { ...this.#ram?.pages ?? { normal: 0, zero: 0, xbzrle: 0, compressed: 0 } },
      ramParts: this.#ram?.parts ?? 0,
      devices: this.#devices,
      commands: [...this.#commands],
      returnPath: this.#returnPath,
      ...(this.#vmdescription === undefined ? {} : { vmdescription: this.#vmdescription }),
      ...(this.#validation === undefined ? {} : { validation: this.#validation }),
    };
  }

  *stream(): Parser<void> {
    this.#header = yield* readHeader(this.input);
    yield* this.#recordsUntil(Infinity);
  }

  /** Reads records up to the end marker, or those of a package. */
  *#recordsUntil(end: number): Parser<void> {
    const { input } = this;
    while (input.offset < end) {
      input.where = "between two sections";
      const offset = input.offset;
      const type = yield* input.u8();
      switch (type) {
        case SectionType.QEMU_VM_SECTION_START:
        case SectionType.QEMU_VM_SECTION_FULL: {
          const why = yield* this.#startOrFull(type, offset);
          if (why !== undefined) return yield* this.#opaqueEnd(why);
          break;
        }
        case SectionType.QEMU_VM_SECTION_PART:
        case SectionType.QEMU_VM_SECTION_END:
          this.#border("pages", offset);
          yield* this.#partOrEnd(type, offset);
          // Without footers nothing says where the sections of devices end.
          if (type === SectionType.QEMU_VM_SECTION_END && !this.#hasFooters()) {
            return yield* this.#opaqueEnd("its machine type is older than 2.4");
          }
          break;
        case SectionType.QEMU_VM_COMMAND:
          this.#border("pages", offset);
          yield* this.#command(offset, end !== Infinity);
          break;
        case SectionType.QEMU_VM_EOF:
          // A post-copy stream has no description, nor have the records of a package an end.
          if (end !== Infinity) throw packageEnd(offset);
          if (this.#running) return this.#postcopyEnd();
          return yield* this.#description();
        default:
          throw new MigrationError("STREAM", {
            text: `Unknown savevm section type ${type}`,
            offset,
          });
      }
    }
    if (input.offset > end) throw packageEnd(end);
  }

  /** The devices came in a package, whose length is the check of them. */
  #postcopyEnd(): void {
    const cause =
      `it is a post-copy stream, which has no description of its ${this.#devices.length} devices`;
    this.#validation = { kind: "end", cause };
  }

  #hasFooters(): boolean {
    return this.#header?.machine !== undefined;
  }

  /** Gives why the rest cannot be walked, where it cannot. */
  *#startOrFull(type: number, offset: number): Parser<string | undefined> {
    const { input } = this;
    const sectionId = yield* input.u32();
    const idstr = yield* input.countedString(`ID string for section ${sectionId}`);
    input.where = `inside section '${idstr}'`;
    const instanceId = yield* input.u32();
    const versionId = yield* input.u32();
    if (type === SectionType.QEMU_VM_SECTION_START) {
      if (idstr !== "ram") return `the format of section '${idstr}' is its device's own`;
      yield* this.#startRam(sectionId, versionId, offset);
      return undefined;
    }
    if (!this.#hasFooters()) return "its machine type is older than 2.4";
    if (this.#devices.length === StreamLimits.deviceSections) {
      throw new MigrationError("STREAM_LIMIT", {
        cause: `it has more than ${StreamLimits.deviceSections} device sections`,
        offset,
      });
    }
    const length = yield* skipDevicePayload(input, sectionId, this.#ramId);
    this.#devices.push({ sectionId, idstr, instanceId, versionId, offset, length });
    return undefined;
  }

  *#startRam(sectionId: number, versionId: number, offset: number): Parser<void> {
    if (this.#ram !== undefined) {
      throw new MigrationError("STREAM", { text: "section 'ram' is started twice", offset });
    }
    if (versionId !== RAM_SAVE_VERSION) {
      throw new MigrationError("STREAM", {
        text: `savevm: unsupported version ${versionId} for 'ram' v${RAM_SAVE_VERSION}`,
        offset,
      });
    }
    const { pageSize = 0, capabilities = [] } = this.#header ?? {};
    if (this.options.visitor !== undefined && !this.#hasFooters()) {
      throw new MigrationError("STREAM_UNSUPPORTED", {
        cause: "its machine type is older than 2.4",
        offset,
      });
    }
    if (capabilities.includes("mapped-ram")) {
      throw new MigrationError("STREAM_UNSUPPORTED", {
        cause: "mapped-ram is a file format that cannot be sent",
        offset,
        hint: "record it without the capability mapped-ram",
      });
    }
    this.#ramId = sectionId;
    const { visitor, multifd = false } = this.options;
    this.#ram = new RamState(pageSize, {
      ignoreShared: capabilities.includes("x-ignore-shared"),
      ...(visitor === undefined ? {} : { visitor }),
      multifd,
      onFlushWord: (at) => {
        if (this.#inPart) return;
        this.#border("pages", at);
        this.#border("records", at + 8);
      },
    });
    yield* this.#ram.payload(this.input, true, this.#postcopy);
    // A source may keep the footer back until the channels have caught up.
    this.#border("pages", this.input.offset);
    const { blocks } = this.#ram;
    located(offset, () => visitor?.blocks(blocks, sectionId, pageSize));
    if (multifd) yield* this.input.hold();
    yield* this.#footer("ram", sectionId);
    this.#border("records", this.input.offset);
  }

  #border(kind: "pages" | "records", offset: number): void {
    this.options.onBorder?.(kind, offset);
  }

  *#partOrEnd(type: number, offset: number): Parser<void> {
    const { input } = this;
    const sectionId = yield* input.u32();
    if (this.#ram === undefined || sectionId !== this.#ramId) {
      throw new MigrationError("STREAM", { text: `Unknown savevm section ${sectionId}`, offset });
    }
    input.where = "inside section 'ram'";
    const isPart = type === SectionType.QEMU_VM_SECTION_PART;
    if (isPart) this.#ram.parts++;
    this.#inPart = true;
    yield* this.#ram.payload(input, false, this.#postcopy);
    this.#inPart = false;
    if (this.options.multifd && !this.#ram.flushesByWord) yield* input.hold();
    yield* this.#footer("ram", sectionId);
    if (!isPart) this.options.visitor?.end();
    this.#border("records", input.offset);
  }

  *#footer(idstr: string, sectionId: number): Parser<void> {
    if (!this.#hasFooters()) return;
    const { input } = this;
    const offset = input.offset;
    if ((yield* input.u8()) !== SectionType.QEMU_VM_SECTION_FOOTER) {
      throw new MigrationError("STREAM", { text: `Missing section footer for ${idstr}`, offset });
    }
    const read = yield* input.u32();
    if (read === sectionId) return;
    const hex = (value: number) => `0x${value.toString(16)}`;
    throw new MigrationError("STREAM", {
      text: `Mismatched section id in footer for ${idstr} - read ${hex(read)} ` +
        `expected ${hex(sectionId)}`,
      offset,
    });
  }

  *#command(offset: number, isPackaged: boolean): Parser<void> {
    const { input } = this;
    input.where = "inside a command";
    const command = yield* readCommand(input, offset, this.options.postcopy ?? false);
    const badCommand = (text: string) => new MigrationError("STREAM", { text, offset });
    if (command.name === "POSTCOPY_ADVISE") this.#postcopy = command.length > 0;
    if (command.name === "OPEN_RETURN_PATH") {
      if (this.#returnPath) throw badCommand("CMD_OPEN_RETURN_PATH called when RP already open");
      this.#returnPath = true;
    } else if (command.value !== undefined && !this.#returnPath) {
      throw badCommand(`CMD_PING (0x${command.value.toString(16)}) received with no return path`);
    }
    this.#commands.add(command.name);
    if (command.name === "POSTCOPY_RUN") this.#running = true;
    located(offset, () => this.options.onCommand?.(command));
    this.#border("records", input.offset);
    const length = command.packaged;
    if (length === undefined) return;
    if (isPackaged || this.#running) throw badCommand("CMD_PACKAGED within a package");
    if (length > StreamLimits.package) {
      throw new MigrationError("STREAM_LIMIT", {
        cause: `it announces a package of ${length} bytes`,
        offset,
      });
    }
    yield* this.#recordsUntil(input.offset + length);
  }

  *#description(): Parser<void> {
    const { input } = this;
    input.where = "inside the description of the devices";
    const offset = input.offset;
    const type = yield* input.u8();
    if (type !== SectionType.QEMU_VM_VMDESCRIPTION) {
      throw new MigrationError("STREAM", {
        text: `Expected vmdescription section, but got ${type}`,
        offset,
      });
    }
    const length = yield* input.u32();
    if (length > StreamLimits.vmdescription) {
      throw new MigrationError("STREAM_LIMIT", {
        cause: `it announces a description of ${length} bytes`,
        offset,
      });
    }
    yield* input.need(length);
    const json = input.bytes.subarray(input.pos, input.pos + length);
    const cause = describeMismatch(json, this.#devices);
    input.pos += length;
    this.#vmdescription = length;
    this.#validation = cause === undefined
      ? { kind: "sections", devices: this.#devices.length }
      : { kind: "mismatch", cause };
  }

  *#opaqueEnd(cause: string): Parser<void> {
    this.input.where = "among sections that cannot be walked";
    this.#vmdescription = yield* skipToDescription(this.input, cause);
    this.#validation = { kind: "end", cause };
  }
}

function packageEnd(offset: number): MigrationError {
  return new MigrationError("STREAM", { text: "a package ends within a record", offset });
}
