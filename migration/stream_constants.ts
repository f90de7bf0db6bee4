/**
 * The numbers of QEMU's migration stream, named as in its source (migration/savevm.c, ram.c,
 * migration.h). All integers on the wire are big-endian.
 */

/** `QEVM`, the first four bytes. */
export const QEMU_VM_FILE_MAGIC = 0x5145564d;
/** The version before; refused with a text of its own. */
export const QEMU_VM_FILE_VERSION_COMPAT = 2;
/** The version that everything since 2006 sends. */
export const QEMU_VM_FILE_VERSION = 3;

/** The type byte that opens each record. */
export const SectionType = {
  QEMU_VM_EOF: 0x00,
  QEMU_VM_SECTION_START: 0x01,
  QEMU_VM_SECTION_PART: 0x02,
  QEMU_VM_SECTION_END: 0x03,
  QEMU_VM_SECTION_FULL: 0x04,
  QEMU_VM_SUBSECTION: 0x05,
  QEMU_VM_VMDESCRIPTION: 0x06,
  QEMU_VM_CONFIGURATION: 0x07,
  QEMU_VM_COMMAND: 0x08,
  QEMU_VM_SECTION_FOOTER: 0x7e,
} as const;

/** Flags in the low bits of a word of the `ram` section. */
export const RamSaveFlag = {
  RAM_SAVE_FLAG_ZERO: 0x02,
  RAM_SAVE_FLAG_MEM_SIZE: 0x04,
  RAM_SAVE_FLAG_PAGE: 0x08,
  RAM_SAVE_FLAG_EOS: 0x10,
  RAM_SAVE_FLAG_CONTINUE: 0x20,
  RAM_SAVE_FLAG_XBZRLE: 0x40,
  RAM_SAVE_FLAG_HOOK: 0x80,
  RAM_SAVE_FLAG_COMPRESS_PAGE: 0x100,
  RAM_SAVE_FLAG_MULTIFD_FLUSH: 0x200,
} as const;

/** The version of the `ram` section that every supported QEMU writes. */
export const RAM_SAVE_VERSION = 4;
/** The only encoding of a delta page. */
export const ENCODING_FLAG_XBZRLE = 0x01;

/** Commands of the source, with the length in bytes that each must have; -1 is any. */
export const MIG_CMD: readonly (readonly [name: string, length: number])[] = [
  ["INVALID", -1],
  ["OPEN_RETURN_PATH", 0],
  ["PING", 4],
  ["POSTCOPY_ADVISE", -1],
  ["POSTCOPY_LISTEN", 0],
  ["POSTCOPY_RUN", 0],
  ["POSTCOPY_RAM_DISCARD", -1],
  ["PACKAGED", 4],
  ["ENABLE_COLO", 0],
  ["POSTCOPY_RESUME", 0],
  ["RECV_BITMAP", -1],
  ["SWITCHOVER_START", 0],
];

/** Numbers of the commands that something is done about. */
export const MigCmd = {
  MIG_CMD_OPEN_RETURN_PATH: 1,
  MIG_CMD_PING: 2,
  MIG_CMD_POSTCOPY_ADVISE: 3,
  MIG_CMD_POSTCOPY_LISTEN: 4,
  MIG_CMD_POSTCOPY_RUN: 5,
  MIG_CMD_POSTCOPY_RAM_DISCARD: 6,
  MIG_CMD_PACKAGED: 7,
  MIG_CMD_ENABLE_COLO: 8,
  MIG_CMD_POSTCOPY_RESUME: 9,
} as const;

/** Messages of the destination, on the way back. */
export const MigRpMsg = {
  MIG_RP_MSG_SHUT: 1,
  MIG_RP_MSG_PONG: 2,
  MIG_RP_MSG_REQ_PAGES_ID: 3,
  MIG_RP_MSG_REQ_PAGES: 4,
  MIG_RP_MSG_RECV_BITMAP: 5,
  MIG_RP_MSG_RESUME_ACK: 6,
  MIG_RP_MSG_SWITCHOVER_ACK: 7,
} as const;

/** The longest message that QEMU takes on the way back, in bytes. */
export const MAX_RP_MSG_LENGTH = 512;

/** First word of a connection that carries pages only (multifd). */
export const MULTIFD_MAGIC = 0x11223344;

/** Names of what may stand behind the machine's name in the configuration section. */
export const CONFIGURATION_SUBSECTIONS = {
  targetPageBits: "configuration/target-page-bits",
  capabilities: "configuration/capabilities",
  uuid: "configuration/uuid",
} as const;

/** What a reader holds at most; each is far above what QEMU sends. */
export const StreamLimits = {
  /** Bytes of one device section. */
  deviceSection: 64 * 1024 * 1024,
  /** Bytes of the package of devices at the switch to post-copy. */
  package: 256 * 1024 * 1024,
  /** Bytes of the description at the end. */
  vmdescription: 16 * 1024 * 1024,
  /** Bytes of a machine's name; QEMU itself refuses longer ones than its own. */
  machineName: 255,
  ramBlocks: 4096,
  deviceSections: 65_536,
  capabilities: 256,
  /** Bytes of guest memory: what a JavaScript number counts exactly, in whole pages. */
  ramSize: 2 ** 52,
  /** Bytes at the end that are kept of a stream whose devices cannot be walked. */
  opaqueTail: 4 * 1024 * 1024,
} as const;

/** Page size in bytes where the stream does not name another. */
export const DEFAULT_PAGE_SIZE = 4096;
