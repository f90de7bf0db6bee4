/** What tests of the log begin with. */

import { revokeCertificates } from "../../ca/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { makePki } from "../support/pki.ts";

/** A CA with two hosts, of which one is revoked: 9 entries. */
export async function makeLog(dir: string): Promise<void> {
  const engine = await chooseEngine();
  await makePki(dir, { hosts: [{ name: "a" }, { name: "b" }] });
  await revokeCertificates(["a"], "keyCompromise", { dir, engine });
}

/** Alters the lines of the log's file. */
export function alterFile(dir: string, alter: (lines: string[]) => readonly string[]): void {
  const lines = Deno.readTextFileSync(`${dir}/ca.log`).trimEnd().split("\n");
  Deno.writeTextFileSync(`${dir}/ca.log`, alter(lines).map((line) => line + "\n").join(""));
}
