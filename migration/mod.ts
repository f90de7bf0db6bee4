/**
 * QEMU's live migration as a peer of its own: reading, checking, keeping and sending a stream, the
 * destination and the source around it, the monitor that drives them, and a client of QMP.
 */

export * from "./error.ts";
export * from "./guest.ts";
export * from "./qmp_client.ts";
export * from "./stream_command.ts";
export * from "./stream_ram.ts";
export * from "./stream_reader.ts";
export * from "./stream_summary.ts";
export * from "./stream_writer.ts";
