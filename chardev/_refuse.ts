import { ChardevError } from "./error.ts";

/** The advice on options that exclude each other. */
export const KEEP_ONE = "keep one of them";
/** The advice on options of TLS without TLS. */
export const NEEDS_TLS = "add tls-creds=ID, and --object tls-creds-x509,id=ID,dir=DIR,endpoint=…";

/** The advice on an option that cannot be here. */
export function leaveOut(option: string): string {
  return `leave ${option}= out`;
}

/** A refusal in QEMU's words, with advice of ours. */
export function refuse(option: string, text: string, hint: string): ChardevError {
  return new ChardevError("OPTION", { option, text, hint });
}
