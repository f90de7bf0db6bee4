/** `creds secret`: a passphrase as QEMU's command line may show it to everybody. */

import { type Command, usage } from "./_command.ts";

/** The most that a secret may have, in bytes. */
const MAX_SECRET = 65_536;

/** The command. */
export const credsSecret: Command = {
  name: "creds secret",
  summary: "encrypt a secret from standard input for -object secret,keyid=…,iv=…",
  usage: "--key FILE [--id ID] [--keyid ID] <SECRET",
  examples: [
    [
      "head -c 32 /dev/urandom >master.key && deno task creds secret --key master.key <passphrase.txt",
      "the two objects that give QEMU the passphrase of an encrypted key",
    ],
  ],
  flags: [
    { name: "key", value: "FILE", help: "the master key: 32 bytes as they are" },
    { name: "id", value: "ID", default: "sec0", help: "id of the secret" },
    { name: "keyid", value: "ID", default: "masterKey0", help: "id of the master key's secret" },
    { name: "json", help: "one JSON object: {objects: [TEXT, TEXT]}" },
  ],
  notes:
    `It prints one object per line, in the order in which QEMU must have them; put -object before
each. One line end behind the secret is dropped, since in QEMU it would belong to the passphrase.
What is printed may be seen by anybody who has not the master key; keep that file to QEMU's account.`,
  async run(input) {
    const file = input.get("key");
    if (file === undefined) throw usage("missing --key", `see ${this.name} --help`);
    const [id, keyId] = [input.get("id")!, input.get("keyid")!];
    for (const value of [id, keyId]) {
      if (/^[A-Za-z][\w.-]*$/.test(value)) continue;
      throw usage(`'${value}' is no id`, "letters, digits, - . _, starting with a letter");
    }
    const { readFileLimited } = await import("../base/mod.ts");
    const { sealSecret } = await import("../creds/mod.ts");
    const key = readFileLimited(file, MAX_SECRET);
    const secret = await readSecret();
    if (secret.length === 0) throw usage("no secret on standard input", "give it with <FILE");
    const { data, iv } = sealSecret(secret, key);
    const objects = [
      `secret,id=${keyId},file=${file.replaceAll(",", ",,")}`,
      `secret,id=${id},keyid=${keyId},iv=${iv},format=base64,data=${data}`,
    ];
    console.log(input.on("json") ? JSON.stringify({ objects }) : objects.join("\n"));
    return 0;
  },
};

async function readSecret(): Promise<Uint8Array> {
  const bytes: number[] = [];
  for await (const chunk of Deno.stdin.readable) {
    bytes.push(...chunk);
    if (bytes.length > MAX_SECRET) {
      throw usage(`a secret of more than ${MAX_SECRET} bytes`, "a passphrase is shorter");
    }
  }
  if (bytes.at(-1) === 10) bytes.pop();
  return Uint8Array.from(bytes);
}
