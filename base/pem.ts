/** PEM (RFC 7468) written, and its blocks found; what QEMU makes of a damaged one is `creds`' part. */

/** One `-----BEGIN LABEL-----` block. */
export interface PemBlock {
  /** The text between BEGIN and the dashes, such as `CERTIFICATE`. */
  readonly label: string;
  /** The decoded bytes. */
  readonly der: Uint8Array;
  /** RFC 1421 headers (`Proc-Type`, `DEK-Info`) of a traditional encrypted key, by name. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Writes one block, 64 characters a line, with a newline at the end. */
export function encodePem(label: string, der: Uint8Array): string {
  const lines = der.toBase64().replace(/.{1,64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}-----END ${label}-----\n`;
}

/**
 * Finds every well-formed block; text around blocks is comment and is skipped, a block whose
 * base64 is damaged is left out.
 */
export function decodePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  const begin = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g;
  for (let match = begin.exec(text); match !== null; match = begin.exec(text)) {
    const label = match[1]!;
    const end = text.indexOf(`-----END ${label}-----`, begin.lastIndex);
    if (end < 0) continue;
    const block = decodeBody(label, text.slice(begin.lastIndex, end));
    if (block !== undefined) blocks.push(block);
    begin.lastIndex = end;
  }
  return blocks;
}

function decodeBody(label: string, body: string): PemBlock | undefined {
  const headers: Record<string, string> = {};
  const data = body.replace(/^([A-Za-z0-9-]{1,64}):[ \t]*(.*)$/gm, (_, name, value) => {
    headers[name] = value.trim();
    return "";
  });
  try {
    return { label, headers, der: Uint8Array.fromBase64(data.replace(/\s+/g, "")) };
  } catch {
    return undefined;
  }
}
