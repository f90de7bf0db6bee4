/** Writes the records of a migration stream, as QEMU 7.2 lays them out. */

import {
  MIG_CMD,
  QEMU_VM_FILE_MAGIC,
  QEMU_VM_FILE_VERSION,
  RAM_SAVE_VERSION,
  RamSaveFlag,
  SectionType,
} from "./stream_constants.ts";
import type { RamBlock } from "./stream_ram.ts";

/** The head of a device's or of the memory's first section. */
export interface SectionHead {
  readonly sectionId: number;
  /** Up to 255 ASCII characters. */
  readonly idstr: string;
  readonly instanceId?: number;
  readonly versionId?: number;
}

/** Gathers records; each method appends one and gives the writer back. */
export class StreamWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  /** Bytes gathered so far. */
  get length(): number {
    return this.#length;
  }

  /** What was gathered; the writer must not be used any more. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): this {
    this.#room(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u16(value: number): this {
    this.#room(2);
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
    return this;
  }

  u32(value: number): this {
    this.#room(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
    return this;
  }

  /** Below 2^53. */
  u64(value: number): this {
    return this.u32(Math.floor(value / 2 ** 32)).u32(value % 2 ** 32);
  }

  bytes(value: Uint8Array): this {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  /** One length byte, then ASCII. */
  countedString(text: string): this {
    const bytes = new TextEncoder().encode(text);
    return this.u8(bytes.length).bytes(bytes);
  }

  /** Magic, version and, where a machine is named, the configuration section. */
  header(machine?: string): this {
    this.u32(QEMU_VM_FILE_MAGIC).u32(QEMU_VM_FILE_VERSION);
    if (machine === undefined) return this;
    const name = new TextEncoder().encode(machine);
    return this.u8(SectionType.QEMU_VM_CONFIGURATION).u32(name.length).bytes(name);
  }

  /** The start of a section of type START or FULL; payload and footer follow. */
  sectionHead(type: number, head: SectionHead): this {
    return this.u8(type).u32(head.sectionId).countedString(head.idstr)
      .u32(head.instanceId ?? 0).u32(head.versionId ?? 1);
  }

  footer(sectionId: number): this {
    return this.u8(SectionType.QEMU_VM_SECTION_FOOTER).u32(sectionId);
  }

  /** The `ram` section's first part: the list of blocks. */
  ramStart(sectionId: number, blocks: readonly RamBlock[]): this {
    const total = blocks.reduce((sum, block) => sum + block.usedLength, 0);
    this.sectionHead(SectionType.QEMU_VM_SECTION_START, {
      sectionId,
      idstr: "ram",
      versionId: RAM_SAVE_VERSION,
    });
    this.u64(total + RamSaveFlag.RAM_SAVE_FLAG_MEM_SIZE);
    for (const block of blocks) {
      this.countedString(block.name).u64(block.usedLength);
      if (block.pageSize !== undefined) this.u64(block.pageSize);
    }
    return this.endOfRam(sectionId);
  }

  /** The start of a round (PART) or of the last one (END); pages and `endOfRam` follow. */
  ramPart(type: number, sectionId: number): this {
    return this.u8(type).u32(sectionId);
  }

  /** The word of a page: its offset in the block, flags, and the block where it changes. */
  pageWord(offset: number, flags: number, block?: string): this {
    return block === undefined
      ? this.u64(offset + (flags | RamSaveFlag.RAM_SAVE_FLAG_CONTINUE))
      : this.u64(offset + flags).countedString(block);
  }

  /** A page sent whole. */
  page(offset: number, content: Uint8Array, block?: string): this {
    return this.pageWord(offset, RamSaveFlag.RAM_SAVE_FLAG_PAGE, block).bytes(content);
  }

  /** A page that is one byte all over. */
  zeroPage(offset: number, block?: string): this {
    return this.pageWord(offset, RamSaveFlag.RAM_SAVE_FLAG_ZERO, block).u8(0);
  }

  endOfRam(sectionId: number): this {
    return this.u64(RamSaveFlag.RAM_SAVE_FLAG_EOS).footer(sectionId);
  }

  /** As {@linkcode endOfRam}, with the word that halts a QEMU's channels from 8.1 on. */
  endOfRound(sectionId: number, multifd?: { readonly flushWord: boolean }): this {
    if (multifd?.flushWord) this.u64(RamSaveFlag.RAM_SAVE_FLAG_MULTIFD_FLUSH);
    return this.endOfRam(sectionId);
  }

  /** A device's state. */
  device(head: SectionHead, payload: Uint8Array): this {
    return this.sectionHead(SectionType.QEMU_VM_SECTION_FULL, head).bytes(payload)
      .footer(head.sectionId);
  }

  /** A command, by its name in QEMU's table. */
  command(name: string, data: Uint8Array = new Uint8Array(0)): this {
    const number = MIG_CMD.findIndex(([known]) => known === name);
    return this.u8(SectionType.QEMU_VM_COMMAND).u16(number).u16(data.length).bytes(data);
  }

  /** The end marker with the description of the devices. */
  end(description: unknown): this {
    const json = new TextEncoder().encode(JSON.stringify(description));
    return this.u8(SectionType.QEMU_VM_EOF).u8(SectionType.QEMU_VM_VMDESCRIPTION)
      .u32(json.length).bytes(json);
  }

  #room(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.#length + count));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }
}
