import { assert, assertEquals, assertThrows } from "@std/assert";
import { MigrationError } from "../../migration/error.ts";
import { SectionType } from "../../migration/stream_constants.ts";
import { readStream } from "../../migration/stream_reader.ts";
import { StreamWriter } from "../../migration/stream_writer.ts";
import { hex, PAGE, RAM, readWhole } from "./streams.ts";

const { QEMU_VM_SECTION_PART: PART, QEMU_VM_SECTION_START: START } = SectionType;
const head = () => new StreamWriter().header("pc");
const withRam = () => head().ramStart(RAM, [{ name: "r", usedLength: 8192 }]);
const inPart = () => withRam().ramPart(PART, RAM);

/** What is wrong, QEMU's text, the offset at which it is found. */
const BROKEN: readonly [string, Uint8Array, string, number?][] = [
  ["no magic", hex("0000000000000000"), "Not a migration stream", 0],
  ["TLS to plain", hex("16030100f4010000"), "Not a migration stream", 0],
  [
    "version 2",
    hex("5145564d00000002"),
    "SaveVM v2 format is obsolete and don't work anymore",
    4,
  ],
  ["version 4", hex("5145564d00000004"), "Unsupported migration stream version", 4],
  ["a section type that is none", head().u8(9).finish(), "Unknown savevm section type 9", 15],
  [
    "a subsection outside a device",
    withRam().u8(5).finish(),
    "Unknown savevm section type 5",
  ],
  ["PART of nothing", head().u8(2).u32(7).finish(), "Unknown savevm section 7", 15],
  ["PART of another", withRam().u8(2).u32(7).finish(), "Unknown savevm section 7"],
  [
    "another version of ram",
    head().sectionHead(START, { sectionId: 2, idstr: "ram", versionId: 3 }).finish(),
    "savevm: unsupported version 3 for 'ram' v4",
    15,
  ],
  ["no name", head().u8(1).u32(5).u8(0).finish(), "Unable to read ID string for section 5", 20],
  [
    "a name with a line feed",
    head().u8(4).u32(5).countedString("a\nb").finish(),
    "Unable to read ID string for section 5",
  ],
  ["ram twice", withRam().ramStart(3, []).finish(), "section 'ram' is started twice"],
  ["no footer", inPart().u64(0x10).u8(0).finish(), "Missing section footer for ram"],
  [
    "another's footer",
    inPart().u64(0x10).footer(0x1f).finish(),
    "Mismatched section id in footer for ram - read 0x1f expected 0x2",
  ],
  ["CONTINUE first", inPart().zeroPage(0).finish(), "Ack, bad migration stream!"],
  ["an unknown block", inPart().zeroPage(0, "q").finish(), "Can't find block q"],
  ["beyond the block", inPart().zeroPage(8192, "r").finish(), "Illegal RAM offset 2000"],
  [
    "beyond the block, continued",
    inPart().zeroPage(0, "r").page(0x123456789000, PAGE).finish(),
    "Illegal RAM offset 123456789000",
  ],
  [
    "two flags",
    inPart().u64(0x1a).finish(),
    "Unknown combination of migration flags: 0x1a",
  ],
  ["no flag", inPart().u64(0).finish(), "Unknown combination of migration flags: 0x0"],
  ["CONTINUE alone", inPart().u64(0x20).finish(), "Unknown combination of migration flags: 0x0"],
  [
    "a block list later",
    inPart().u64(4096 + 4).finish(),
    "Unknown combination of migration flags: 0x4",
  ],
  [
    "a delta of another encoding",
    inPart().pageWord(0, 0x40, "r").u8(2).finish(),
    "Failed to load XBZRLE page - wrong compression!",
  ],
  [
    "a delta longer than a page",
    inPart().pageWord(0, 0x40, "r").u8(1).u16(4097).finish(),
    "Failed to load XBZRLE page - len overflow!",
  ],
  [
    "a compressed page of 2 GiB",
    inPart().pageWord(0, 0x100, "r").u32(0x80000000).finish(),
    "Invalid compressed data length: -2147483648",
  ],
  ["a hook", inPart().u64(0x80).finish(), "cannot read the stream: it was recorded over RDMA"],
  ["multifd", inPart().u64(0x200).finish(), "cannot read the stream: it belongs to a multifd"],
  [
    "a block listed twice",
    head().ramStart(RAM, [{ name: "a", usedLength: 1 }, { name: "a", usedLength: 4095 }]).finish(),
    'RAM block "a" is listed twice',
  ],
  [
    "more than was announced",
    head().sectionHead(START, { sectionId: 2, idstr: "ram", versionId: 4 })
      .u64(4096 + 4).countedString("r").u64(8192).finish(),
    "RAM block lengths exceed the 4096 bytes announced",
  ],
  [
    "2^60 bytes of memory",
    head().sectionHead(START, { sectionId: 2, idstr: "ram", versionId: 4 })
      .bytes(hex("1000000000000004")).finish(),
    "cannot read the stream: it announces more than 4 PiB of guest memory",
  ],
  [
    "an unknown command",
    head().bytes(hex("08002a0003")).finish(),
    "MIG_CMD 0x2a unknown (len 0x3)",
  ],
  ["command 0", head().bytes(hex("0800000000")).finish(), "MIG_CMD 0x0 unknown (len 0x0)"],
  [
    "a PING of two bytes",
    head().bytes(hex("0800020002")).finish(),
    "PING received with bad length - expecting 4, got 2",
  ],
  [
    "a PING without a way back",
    head().command("PING", hex("00000007")).finish(),
    "CMD_PING (0x7) received with no return path",
  ],
  [
    "the way back twice",
    head().command("OPEN_RETURN_PATH").command("OPEN_RETURN_PATH").finish(),
    "CMD_OPEN_RETURN_PATH called when RP already open",
  ],
  [
    "an odd ADVISE",
    head().bytes(hex("0800030008")).finish(),
    "CMD_POSTCOPY_ADVISE invalid length (8)",
  ],
  [
    "a package",
    head().command("PACKAGED", hex("ffffffff")).finish(),
    "cannot read the stream: the source switched to post-copy",
  ],
  ["COLO", head().command("ENABLE_COLO").finish(), "cannot read the stream: the source wants COLO"],
  [
    "a machine name of 4 GiB",
    hex("5145564d 00000003 07 ffffffff"),
    "cannot read the stream: it announces a machine name of 4294967295 bytes",
  ],
  ["a machine without a name", hex("5145564d 00000003 07 00000000"), "Unable to read the machine"],
  [
    "an unknown configuration",
    head().u8(5).countedString("configuration/x").u32(1).finish(),
    "cannot read the stream: its configuration section has 'configuration/x'",
  ],
  [
    "a configuration of version 2",
    head().u8(5).countedString("configuration/uuid").u32(2).finish(),
    "cannot read the stream: its configuration section has version 2 of 'configuration/uuid'",
  ],
  [
    "pages of 16 MiB",
    head().u8(5).countedString("configuration/target-page-bits").u32(1).u32(24).finish(),
    "cannot read the stream: its configuration section has a page size of 2^24 bytes",
  ],
  [
    "4 billion capabilities",
    head().u8(5).countedString("configuration/capabilities").u32(1).u32(0xffffffff).finish(),
    "cannot read the stream: it announces 4294967295 capabilities",
  ],
  [
    "mapped-ram",
    head().u8(5).countedString("configuration/capabilities").u32(1).u32(1)
      .countedString("mapped-ram").ramStart(RAM, []).finish(),
    "cannot read the stream: mapped-ram is a file format",
  ],
  [
    "no description",
    withRam().u8(0).u8(1).finish(),
    "Expected vmdescription section, but got 1",
  ],
  [
    "a description of 4 GiB",
    withRam().u8(0).u8(6).u32(0xffffffff).finish(),
    "cannot read the stream: it announces a description of 4294967295 bytes",
  ],
];

for (const [what, bytes, text, offset] of BROKEN) {
  Deno.test(`readStream() refuses ${what}: ${text}`, () => {
    for (const step of [bytes.length, 1]) {
      const reader = readStream();
      const feed = () => {
        for (let at = 0; at < bytes.length; at += step) reader.push(bytes.slice(at, at + step));
      };
      const error = assertThrows(feed, MigrationError, text);
      assert(/ at byte \d+$/.test(error.message), error.message);
      if (offset !== undefined) assertEquals(error.facts.offset, offset);
      assert(error.facts.offset! <= bytes.length);
      // A broken reader stays broken.
      assertEquals(assertThrows(() => reader.push(hex("00"))), error);
      assertEquals(assertThrows(() => reader.end()), error);
    }
  });
}

Deno.test("readStream() says what the peer speaks that sends no stream", () => {
  const hint = (bytes: Uint8Array) => assertThrows(() => readWhole(bytes), MigrationError).hints[0];
  assert(hint(hex("16030100"))?.includes("the other side speaks TLS"));
  assert(hint(hex("11223344"))?.includes("multifd"));
  assert(hint(new TextEncoder().encode("LibvirtQemudSave"))?.includes("virsh restore"));
  assert(hint(hex("00000000"))?.includes("let a QEMU migrate here"));
});
