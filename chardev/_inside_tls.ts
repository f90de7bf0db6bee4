import { startTls } from "../channel/mod.ts";
import type { ChardevChannel } from "./describe.ts";
import type { TlsPlan } from "./roles.ts";

/**
 * Starts TLS on a connection where there is to be any; it keeps the name of this end.
 *
 * @throws as `startTls` of `channel`.
 */
export async function insideTls(
  raw: ChardevChannel,
  tls: TlsPlan | undefined,
  limits: { readonly signal?: AbortSignal; readonly timeout?: number },
): Promise<ChardevChannel> {
  if (tls === undefined) return raw;
  const { local } = raw;
  const channel = await startTls(raw, { ...tls, ...limits });
  return local === undefined ? channel : Object.assign(channel, { local });
}
