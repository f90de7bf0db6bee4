/** Ports by their names, as getaddrinfo() knows them. */

/** Where the names of ports are (services(5)). */
const SERVICES = "/etc/services";
/** Most of that file that is read, in bytes. */
const MAX_BYTES = 1 << 20;

/**
 * Gives the number of a port that is written as one, or that has a name among the services of TCP;
 * an empty text is 0. Nothing if it is neither.
 *
 * @param file A table as services(5) describes it.
 * @throws {Deno.errors.NotCapable} If the table may not be read.
 */
export function portNumber(text: string, file = SERVICES): number | undefined {
  if (text === "") return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  if (!/^[\w.+-]{1,64}$/.test(text)) return undefined;
  for (const line of readTable(file).split("\n")) {
    const [name, place = "", ...aliases] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (name !== text && !aliases.includes(text)) continue;
    const port = /^(\d{1,5})\/tcp$/.exec(place)?.[1];
    if (port !== undefined) return Number(port);
  }
  return undefined;
}

function readTable(file: string): string {
  try {
    return Deno.statSync(file).size > MAX_BYTES ? "" : Deno.readTextFileSync(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return "";
  }
}
