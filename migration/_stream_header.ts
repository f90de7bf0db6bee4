/** The head of a stream: magic, version, configuration section. */

import { ascii, isPrintable, type Parser, type StreamInput } from "./_stream_input.ts";
import { MigrationError, MULTIFD_HINTS } from "./error.ts";
import {
  CONFIGURATION_SUBSECTIONS,
  DEFAULT_PAGE_SIZE,
  MULTIFD_MAGIC,
  QEMU_VM_FILE_MAGIC,
  QEMU_VM_FILE_VERSION,
  QEMU_VM_FILE_VERSION_COMPAT,
  SectionType,
  StreamLimits,
} from "./stream_constants.ts";

/** What the head says. */
export interface StreamHeader {
  /** Absent where there is no configuration section (machine types up to 2.3). */
  readonly machine?: string;
  /** Bytes. */
  readonly pageSize: number;
  readonly capabilities: readonly string[];
  readonly uuid?: string;
}

/** First 16 bits of a TLS record that carries a handshake, any version (RFC 8446 5.1). */
const TLS_HANDSHAKE = 0x1603;
/** `qevm` of the format before, `LIBVIRT_` of a saved image: what else files begin with. */
const LIBVIRT_MAGIC = 0x4c696276;

/**
 * Reads the head.
 *
 * @throws {MigrationError} `STREAM` in QEMU's words if this is no migration stream.
 */
export function* readHeader(input: StreamInput): Parser<StreamHeader> {
  const magic = yield* input.u32();
  if (magic !== QEMU_VM_FILE_MAGIC) throw notAStream(magic);
  input.where = "inside its header";
  const version = yield* input.u32();
  if (version !== QEMU_VM_FILE_VERSION) {
    const text = version === QEMU_VM_FILE_VERSION_COMPAT
      ? "SaveVM v2 format is obsolete and don't work anymore"
      : "Unsupported migration stream version";
    throw new MigrationError("STREAM", { text, offset: 4 });
  }
  yield* input.need(1);
  if (input.bytes[input.pos] !== SectionType.QEMU_VM_CONFIGURATION) {
    return { pageSize: DEFAULT_PAGE_SIZE, capabilities: [] };
  }
  input.pos++;
  return yield* readConfiguration(input);
}

function* readConfiguration(input: StreamInput): Parser<StreamHeader> {
  input.where = "inside its configuration section";
  const start = input.offset;
  const length = yield* input.u32();
  if (length > StreamLimits.machineName) {
    throw new MigrationError("STREAM_LIMIT", {
      cause: `it announces a machine name of ${length} bytes`,
      offset: start,
    });
  }
  const name = yield* input.take(length);
  if (length === 0 || !isPrintable(name, 0, length)) {
    throw new MigrationError("STREAM", { text: "Unable to read the machine name", offset: start });
  }
  let header: StreamHeader = {
    machine: ascii(name),
    pageSize: DEFAULT_PAGE_SIZE,
    capabilities: [],
  };
  for (;;) {
    yield* input.need(1);
    if (input.bytes[input.pos] !== SectionType.QEMU_VM_SUBSECTION) return header;
    header = { ...header, ...yield* readSubsection(input) };
  }
}

function* readSubsection(input: StreamInput): Parser<Partial<StreamHeader>> {
  const start = input.offset;
  input.pos++;
  const name = yield* input.countedString("the name of a configuration subsection");
  const version = yield* input.u32();
  if (version !== 1) throw badSubsection(`version ${version} of '${name}'`, start);
  switch (name) {
    case CONFIGURATION_SUBSECTIONS.targetPageBits: {
      const bits = yield* input.u32();
      // Flags take the ten low bits; no target has pages over 64 KiB.
      if (bits < 10 || bits > 16) throw badSubsection(`a page size of 2^${bits} bytes`, start);
      return { pageSize: 2 ** bits };
    }
    case CONFIGURATION_SUBSECTIONS.capabilities: {
      const count = yield* input.u32();
      if (count > StreamLimits.capabilities) {
        throw new MigrationError("STREAM_LIMIT", {
          cause: `it announces ${count} capabilities`,
          offset: start,
        });
      }
      const capabilities: string[] = [];
      for (let i = 0; i < count; i++) {
        capabilities.push(yield* input.countedString("the name of a capability"));
      }
      return { capabilities };
    }
    case CONFIGURATION_SUBSECTIONS.uuid: {
      const hex = [...yield* input.take(16)].map((b) => b.toString(16).padStart(2, "0")).join("");
      return { uuid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") };
    }
    default:
      throw badSubsection(`'${name}'`, start);
  }
}

function notAStream(magic: number): MigrationError {
  const hint = magic >>> 16 === TLS_HANDSHAKE
    ? "the other side speaks TLS: give --tls-creds here, or unset tls-creds there"
    : magic === MULTIFD_MAGIC
    ? MULTIFD_HINTS
    : magic === LIBVIRT_MAGIC
    ? "this is an image of `virsh save`: restore it with `virsh restore`"
    : undefined;
  return new MigrationError("STREAM", {
    text: "Not a migration stream",
    offset: 0,
    ...(hint === undefined ? {} : { hint }),
  });
}

function badSubsection(what: string, offset: number): MigrationError {
  return new MigrationError("STREAM_UNSUPPORTED", {
    cause: `its configuration section has ${what}`,
    offset,
  });
}
