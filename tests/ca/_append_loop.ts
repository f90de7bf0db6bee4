/** Appends to a store again and again, as one of several processes. */

import { sealActs } from "../../ca/act.ts";
import { CaError } from "../../ca/error.ts";
import { openSqliteStore } from "../../ca/store_sqlite.ts";

const [file, name, size, count] = Deno.args as [string, string, string, string];
const store = openSqliteStore(file);
for (let i = 0; i < Number(count);) {
  const acts = Array.from({ length: Number(size) }, (_, n) => ({
    act: "issue",
    host: name,
    issuer: "00112233aabbccdd",
    serial: `${name}${i}x${n}`,
    certificate: new TextEncoder().encode(`${name} ${i} ${n}`),
  } as const));
  try {
    await store.append(sealActs(acts, await store.head(), name));
    if (i++ === 0) console.log("ready");
  } catch (error) {
    if (!(error instanceof CaError) || error.code !== "STORE_CONFLICT") throw error;
  }
}
