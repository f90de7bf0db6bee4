/**
 * QEMU's live migration as a peer of its own: reading, checking, keeping and sending a stream, the
 * destination and the source around it, the monitor that drives them, and a client of QMP.
 */

export * from "./capabilities.ts";
export * from "./control.ts";
export * from "./control_hmp.ts";
export * from "./control_qmp.ts";
export * from "./describe.ts";
export * from "./error.ts";
export * from "./guest.ts";
export * from "./guest_memory.ts";
export * from "./multifd_packet.ts";
export * from "./page_sink.ts";
export * from "./parameter_table.ts";
export * from "./parameters.ts";
export * from "./qmp_client.ts";
export * from "./query_migrate.ts";
export * from "./receive.ts";
export * from "./receive_pages.ts";
export * from "./record.ts";
export * from "./relay.ts";
export * from "./report.ts";
export * from "./run_state.ts";
export * from "./security.ts";
export * from "./send.ts";
export * from "./sink.ts";
export * from "./source_control.ts";
export * from "./source_service.ts";
export * from "./state.ts";
export * from "./stream_command.ts";
export * from "./stream_file.ts";
export * from "./stream_ram.ts";
export * from "./stream_reader.ts";
export * from "./stream_summary.ts";
export * from "./stream_writer.ts";
export * from "./target_control.ts";
export * from "./target_service.ts";
export * from "./transport.ts";
export * from "./uuid.ts";
