/** `ca backup` and `ca restore`: everything of an authority in one file, and back. */

import { changeTold, DIR_FLAG } from "./_ca_flags.ts";
import { type Command, type Flag, type Input, usage } from "./_command.ts";
import { say, untilSignal } from "./_console.ts";
import { line } from "./_output.ts";
import { backupPassphrase } from "./_passphrase.ts";

const BACKUP_PASSPHRASE_FLAG: Flag = {
  name: "passphrase-file",
  value: "FILE",
  help: "file with the passphrase of the backup; - is standard input",
};

/** The command. */
export const caBackup: Command = {
  name: "ca backup",
  summary: "put keys, database, log and hosts into one file under a passphrase",
  usage: "FILE [--passphrase-file FILE] [--force] [--json] [--dir DIR]",
  examples: [
    ["deno task ca backup /mnt/usb/pki.cms", "asks for a passphrase"],
    ["deno task ca backup pki.cms --passphrase-file /run/backup-pass --force", "every night"],
  ],
  flags: [
    DIR_FLAG,
    BACKUP_PASSPHRASE_FLAG,
    { name: "force", help: "replace a FILE that is there" },
    { name: "json", help: "one JSON object" },
  ],
  operands: { name: "FILE", min: 1, max: 1 },
  notes:
    `The file is restored into a temporary folder beside it and compared, byte by byte, before it
gets its name; it has mode 0600. It is a tar archive, gzip, encrypted and authenticated as CMS
(AES-256-GCM, PBKDF2-SHA-256 with 600,000 rounds). Without this toolkit OpenSSL 3 opens it:
  openssl cms -decrypt -inform DER -in FILE -pwri_password PASSPHRASE -out pki.tar.gz
A key in a token is not in it.`,
  run: (input) => untilSignal((signal) => backup(input, signal)),
};

/** The command. */
export const caRestore: Command = {
  name: "ca restore",
  summary: "bring a CA back from its backup, into a new directory",
  usage: "FILE [--dir DIR] [--check] [--passphrase-file FILE] [--json]",
  examples: [
    ["deno task ca restore /mnt/usb/pki.cms --dir pki", "pki must not be there yet"],
    ["deno task ca restore pki.cms --check", "whether it is whole and the passphrase fits"],
  ],
  flags: [
    DIR_FLAG,
    { name: "check", help: "read all of it and write nothing" },
    BACKUP_PASSPHRASE_FLAG,
    { name: "json", help: "one JSON object" },
  ],
  operands: { name: "FILE", min: 1, max: 1 },
  notes: "The directory appears when all of it is there; nothing that exists is overwritten.",
  run: (input) => untilSignal((signal) => restore(input, signal)),
};

async function backup(input: Input, signal: AbortSignal): Promise<number> {
  const { makeBackup } = await import("../ca/mod.ts");
  const dir = input.get("dir")!;
  const result = await makeBackup({
    dir,
    file: input.operands[0]!,
    passphrase: await needed(input, true),
    force: input.on("force"),
    signal,
    ...changeTold(dir),
  });
  for (const path of result.leftOut) say(`warning: ${path} is no file, and is left out`);
  if (result.keyInToken) say("note: the CA's key is in a token: the backup has its name alone");
  if (input.on("json")) console.log(JSON.stringify(result));
  else {
    console.log(
      line(`backed up ${dir} to ${result.file}, restored it for a test, all is the same`),
    );
    console.log(`  files    ${result.files}, ${result.size} bytes`);
    console.log(`  SHA-256  ${result.sha256}`);
  }
  return 0;
}

async function restore(input: Input, signal: AbortSignal): Promise<number> {
  const { checkBackup, restoreBackup } = await import("../ca/mod.ts");
  const [file, dir] = [input.operands[0]!, input.get("dir")!];
  const passphrase = await needed(input, false);
  if (input.on("check")) {
    const result = await checkBackup(file, passphrase);
    if (input.on("json")) console.log(JSON.stringify({ file, ...result }));
    else console.log(line(`${file} is whole: ${result.files} files, ${result.hosts} hosts`));
    return 0;
  }
  const result = await restoreBackup({ file, dir, passphrase, signal, ...changeTold(dir) });
  if (input.on("json")) console.log(JSON.stringify({ file, ...result }));
  else {
    console.log(line(`restored ${result.dir}: ${result.files} files, ${result.hosts} hosts`));
    if (result.keyInToken) say("note: the CA's key is in its token, which is needed to sign");
    say(`hint: see that it is what you want: deno task ca log --verify --dir ${dir}`);
  }
  return 0;
}

async function needed(input: Input, isNew: boolean): Promise<string> {
  const passphrase = await backupPassphrase(input, isNew);
  if (passphrase !== undefined) return passphrase;
  throw usage(
    "a backup needs a passphrase",
    "give it with --passphrase-file FILE, or - for standard input",
  );
}
