/** `ca request`: keys that stay on the host, and the request that goes to the CA in their place. */

import { resolve } from "@std/path";
import { shellWord } from "../base/mod.ts";
import type { Installed, Role } from "../ca/mod.ts";
import { KEY_TYPE_FLAG, keyTypeFor, untilText } from "./_ca_flags.ts";
import { type Command, type Input, usage } from "./_command.ts";
import { ENGINE_FLAG, engineFor } from "./_engine.ts";
import { line, say } from "./_output.ts";
import { HOST_PASSPHRASE_FLAG, hostPassphrase } from "./_passphrase.ts";

/** The command. */
export const caRequest: Command = {
  name: "ca request",
  summary: "on a host without the CA: make its keys and a request, or install what came back",
  usage: "HOST [--dns NAME]… [--ip ADDR]… [--role ROLE]… [--out DIR]|--install FROM [--out DIR]",
  examples: [
    [
      "deno task ca request vm1.example --ip 192.0.2.7",
      "keys and request.pem in requests/vm1.example",
    ],
    [
      "deno task ca request --install answer --out requests/vm1.example",
      "the certificates that came back, beside the keys",
    ],
    [
      "deno task ca request --install answer --out requests/vm1.example --to /etc/pki/qemu",
      "the whole set in the place of the one that QEMU uses",
    ],
  ],
  flags: [
    {
      name: "out",
      value: "DIR",
      help: "directory of the keys and the request; requests/HOST when absent",
    },
    { name: "dns", value: "NAME", repeat: true, help: "further DNS name to ask for" },
    { name: "ip", value: "ADDR", repeat: true, help: "further IP address to ask for" },
    {
      name: "role",
      value: "ROLE",
      repeat: true,
      choices: ["server", "client"],
      help: "endpoint to ask for; both when absent",
    },
    KEY_TYPE_FLAG,
    { name: "allow-wildcard", help: "take a --dns such as *.example.com" },
    HOST_PASSPHRASE_FLAG,
    {
      name: "install",
      value: "FROM",
      help: "put the directory that came back from the CA together with the keys in --out",
    },
    {
      name: "to",
      value: "DIR",
      help: "with --install: where the whole set is to lie; --out when absent",
    },
    { name: "json", help: "one JSON object" },
    ENGINE_FLAG,
  ],
  operands: { name: "HOST", min: 0, max: 1 },
  notes:
    `No CA is needed here. The keys (mode 0600) stay in the directory; request.pem, one file with a
PKCS#10 request for each role, goes to the CA, which signs it: deno task ca sign request.pem.
What comes back is the directory pki/hosts/HOST: --install checks that every key is the one of
its certificate and that QEMU takes the set, then exchanges the directory in one step; the one
before is kept as DIR.previous. Files that have the same names keep their owners and modes; what
else lies there stays, and a CRL that is newer than the answer's. Certificates that are older than
the ones in place are refused.`,
  run,
};

async function run(input: Input): Promise<number> {
  const from = input.get("install");
  if (from !== undefined) return await install(input, from);
  if (input.get("to") !== undefined) throw usage("--to is for --install", HELP);
  const [host] = input.operands;
  if (host === undefined) throw usage("missing HOST", HELP);
  return await request(input, host);
}

const HELP = "see: deno task ca request --help";

async function request(input: Input, host: string): Promise<number> {
  const { makeHostKeys, parseHostName } = await import("../ca/mod.ts");
  const out = input.get("out") ?? `requests/${parseHostName(host).text}`;
  const made = await makeHostKeys({
    host,
    out,
    dns: input.all("dns"),
    ip: input.all("ip"),
    roles: input.all("role") as Role[],
    keyType: keyTypeFor(input),
    allowWildcard: input.on("allow-wildcard"),
    engine: await engineFor(input),
    hostPassphrase: await hostPassphrase(input),
  });
  if (input.on("json")) {
    const { dir, request, keys } = made;
    const paths = {
      dir: resolve(dir),
      request: resolve(request),
      keys: keys.map((k) => resolve(k)),
    };
    console.log(JSON.stringify({ ...made, ...paths }));
    return 0;
  }
  const names = [...made.dns.map((name) => `DNS ${name}`), ...made.ip.map((name) => `IP ${name}`)];
  console.log(line(`asks for ${made.host} (${made.keyType})`));
  console.log(line(`  request      ${made.request}: carry it to the CA`));
  console.log(line(`  keys         ${made.keys.join(", ")}: they stay here`));
  console.log(line(`  names        ${names.join(", ")}`));
  say(
    `hint: at the CA: deno task ca sign request.pem --host ${made.host}${allowing(input)}`,
    `then here, with pki/hosts/${made.host} copied back: deno task ca request --install ${made.host} --out ${made.dir}`,
  );
  return 0;
}

/** The flags that the CA has to give for all names that are asked for. */
function allowing(input: Input): string {
  return [
    ...input.all("dns").map((name) => ` --dns ${name}`),
    ...input.all("ip").map((name) => ` --ip ${name}`),
  ].join("");
}

async function install(input: Input, from: string): Promise<number> {
  const { installSet } = await import("../ca/mod.ts");
  const keys = input.get("out");
  if (keys === undefined) throw usage("--install needs --out, the directory of the keys", HELP);
  if (input.operands.length > 0) throw usage("--install takes no HOST", HELP);
  const done = await installSet({
    from,
    keys,
    to: input.get("to"),
    engine: await engineFor(input),
    hostPassphrase: await hostPassphrase(input),
  });
  if (input.on("json")) console.log(JSON.stringify(installedJson(done)));
  else await printInstalled(done);
  return 0;
}

function installedJson(done: Installed) {
  const { dir, files, notAfter, previous, verdicts, carried, dropped, notTaken } = done;
  return {
    dir: resolve(dir),
    files: files.map((name) => resolve(dir, name)),
    notAfter,
    previous: previous === undefined ? null : resolve(previous),
    carried,
    dropped,
    notTaken,
    spareKeys: done.spareKeys.map((key) => resolve(key)),
    keptCrls: done.keptCrls.map(({ issuer, number, answered }) => ({
      issuer,
      number: String(number),
      answered: answered === undefined ? null : String(answered),
    })),
    verdicts: verdicts.map(({ endpoint, qemu, ok, message }) => ({ endpoint, qemu, ok, message })),
  };
}

async function printInstalled(done: Installed): Promise<void> {
  const { daysUntil } = await import("../ca/mod.ts");
  const { dir, verdicts, notAfter, previous } = done;
  console.log(line(`installed in ${dir}: every key fits its certificate`));
  console.log(`  valid until  ${untilText(notAfter, daysUntil(new Date(), notAfter))}`);
  for (const role of ["server", "client"] as const) {
    if (!verdicts.some(({ endpoint }) => endpoint === role)) continue;
    const path = resolve(dir).replaceAll(",", ",,");
    console.log(
      line(
        `  ${role}       -object tls-creds-x509,id=tls0,dir=${path},endpoint=${role},verify-peer=on`,
      ),
    );
  }
  console.log(line(`  files        ${done.files.join(", ")}`));
  if (previous !== undefined) console.log(line(`  before       ${previous}`));
  sayBesides(done);
  for (const { endpoint, qemu, ok, message } of verdicts) {
    if (!ok) say(`note: QEMU ${qemu} refuses it as a ${endpoint}: ${message}`);
  }
  saySpareKeys(done);
  say("hint: a running QEMU keeps what it has loaded: make its TLS objects anew");
}

/** What came from elsewhere than the answer, and what is gone. */
function sayBesides({ previous, carried, dropped, notTaken, keptCrls }: Installed): void {
  for (const { issuer, number, answered } of keptCrls) {
    const theirs = answered === undefined ? "has none" : `has number ${answered}`;
    say(
      `note: the CRL of ${issuer} that was here stays, number ${number}: the answer ${theirs}`,
      "copy the newest answer from the CA",
    );
  }
  if (carried.length > 0) say(`note: kept from before: ${carried.join(", ")}`);
  if (dropped.length > 0) {
    say(`note: not in the new set, but kept in ${previous}: ${dropped.join(", ")}`);
  }
  if (notTaken.length > 0) say(`note: not taken from the answer: ${notTaken.join(", ")}`);
}

/** A key that lies twice has twice as many readers. */
function saySpareKeys({ dir, spareKeys }: Installed): void {
  if (spareKeys.length === 0) return;
  say(
    `note: the keys are in ${dir} now, and a second time where they were made`,
    `remove those: rm ${spareKeys.map(shellWord).join(" ")}`,
  );
}
