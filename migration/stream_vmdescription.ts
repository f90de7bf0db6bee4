/**
 * The description at the end: JSON that lists the devices in the order of the stream with the
 * sizes of their fields. It proves that sections without a length were cut where they end.
 */

import type { DeviceSection } from "./stream_summary.ts";

type Json = string | number | boolean | null | Json[] | JsonObject;
type JsonObject = { [key: string]: Json | undefined };

/** Subsections within subsections; QEMU has two levels. */
const MAX_DEPTH = 16;

/**
 * Compares the description with the device sections that were found.
 *
 * @returns What differs, or `undefined` where all is equal.
 */
export function describeMismatch(
  json: Uint8Array,
  sections: readonly DeviceSection[],
): string | undefined {
  const devices = readDevices(json);
  if (typeof devices === "string") return devices;
  if (devices.length !== sections.length) {
    return `the description lists ${devices.length} devices, the stream has ${sections.length}`;
  }
  for (const [i, section] of sections.entries()) {
    const device = devices[i];
    if (!isObject(device)) return `device ${i} of the description is not an object`;
    if (device.name !== section.idstr || device.instance_id !== section.instanceId) {
      return `device ${i} is '${section.idstr}' ${section.instanceId}, the description has another`;
    }
    const length = vmsdLength(device);
    if (length !== section.length) {
      return `section '${section.idstr}' has ${section.length} bytes, the description ` +
        (length === undefined ? "gives no size" : `says ${length}`);
    }
  }
  return undefined;
}

/** Whether bytes are a description at all. */
export function isDescription(json: Uint8Array): boolean {
  return typeof readDevices(json) !== "string";
}

function readDevices(json: Uint8Array): Json[] | string {
  let description: Json;
  try {
    description = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch {
    return "the description is not JSON";
  }
  return isObject(description) && Array.isArray(description.devices)
    ? description.devices
    : "the description lists no devices";
}

/**
 * Bytes of a device: its fields, then its subsections, each behind a type byte, a counted string
 * and a version. `size` is what one element wrote, with all that is nested in it.
 */
function vmsdLength(vmsd: JsonObject, depth = 0): number | undefined {
  if (depth > MAX_DEPTH) return undefined;
  let sum = 0;
  for (const field of listOf(vmsd.fields)) {
    if (!isObject(field) || typeof field.size !== "number") return undefined;
    sum += field.size * (typeof field.array_len === "number" ? field.array_len : 1);
  }
  for (const subsection of listOf(vmsd.subsections)) {
    if (!isObject(subsection) || typeof subsection.vmsd_name !== "string") return undefined;
    const inner = vmsdLength(subsection, depth + 1);
    if (inner === undefined) return undefined;
    sum += 1 + 1 + subsection.vmsd_name.length + 4 + inner;
  }
  return sum;
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
