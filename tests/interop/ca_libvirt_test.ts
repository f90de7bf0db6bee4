import { assertEquals, assertMatch } from "@std/assert";
import { initAuthority, issueHost, planExport, writeExport } from "../../ca/mod.ts";
import { checkCredentials, findLayout, LIBVIRT_PROFILES, placeLayout } from "../../creds/mod.ts";
import { chooseEngine } from "../../engine/mod.ts";
import { makePki } from "../support/pki.ts";
import { run } from "../support/command.ts";
import { programTest, skippedTest } from "../support/programs.ts";
import { temporaryDirectory } from "../support/temp.ts";

/** Puts a set where libvirt looks for it, on a copy of `/etc` that only this process sees. */
const VALIDATE = `
set -e
hostname "$3"
cp -a /etc "$2/etc"
mkdir -p "$2/etc/pki/CA" "$2/etc/pki/libvirt/private"
chmod 0755 "$2/etc/pki" "$2/etc/pki/CA" "$2/etc/pki/libvirt" "$2/etc/pki/libvirt/private"
install -m 0644 "$1/ca-cert.pem" "$2/etc/pki/CA/cacert.pem"
for role in server client; do
  install -m 0644 "$1/$role-cert.pem" "$2/etc/pki/libvirt/\${role}cert.pem"
done
install -m 0600 "$1/server-key.pem" "$2/etc/pki/libvirt/private/serverkey.pem"
install -m 0644 "$1/client-key.pem" "$2/etc/pki/libvirt/private/clientkey.pem"
mount --bind "$2/etc" /etc
exec virt-pki-validate
`;

/** Whether this process may have mounts and a host name of its own. */
async function canUnshare(): Promise<boolean> {
  return (await run("unshare", ["-m", "-u", "true"]).catch(() => ({ code: 1 }))).code === 0;
}

const UNSHARE = await canUnshare();

/** A test that needs a mount and a host name of its own. */
function validateTest(name: string, fn: () => Promise<void>): void {
  if (!UNSHARE && !Deno.env.get("CI")) {
    return skippedTest(name, "needs root: unshare -m");
  }
  programTest(name, ["virt-pki-validate", "certtool"], fn);
}

/** What it says of a set on a host of that name. */
async function validate(set: string, hostname: string, scratch: string): Promise<string> {
  Deno.mkdirSync(scratch);
  const args = [VALIDATE, "bash", set, scratch, hostname];
  const { code, stdout, stderr } = await run("unshare", ["-m", "-u", "bash", "-c", ...args]);
  // Its exit code is 0 whatever it finds: what counts is what it says.
  assertEquals(code, 0, stderr);
  return stdout + stderr;
}

for (const keyType of ["ec-p256", "rsa-2048"] as const) {
  validateTest(`virt-pki-validate has nothing to say of a host's set, ${keyType}`, async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1", keyType }] });
    const set = pki.host("vm1");
    const said = await validate(set, "vm1", `${temp.path}/a`);
    assertEquals(said.match(/^Found .*$/gm)?.length, 6, said);
    assertEquals(said.trim().split("\n").length, 6, said);
    assertMatch(await validate(set, "vm2", `${temp.path}/b`), /does not seem to match/);
  });
}

validateTest(
  "virt-pki-validate misreads files of several certificates under an issuing CA, as the page says, and libvirt takes them",
  async () => {
    using temp = temporaryDirectory();
    const engine = await chooseEngine();
    const dir = `${temp.path}/pki`;
    await initAuthority({ dir, engine, name: "Rack 7 CA", root: { dir: `${temp.path}/root` } });
    const { dir: set } = await issueHost({ dir, engine, host: "vm1" });
    const said = await validate(set, "vm1", `${temp.path}/a`);
    const complaints = said.split("\n").filter((line) =>
      /not (seem to )?match|Missing|need to be/.test(line)
    );
    assertEquals(complaints, [
      "The CA certificate and the client certificate do not match",
      "The CA certificate and the server certificate do not match",
      // It reads the subject of the issuing CA's certificate behind the host's, too.
      "The server certificate does not seem to match the host name",
    ]);
    const placed = placeLayout(findLayout("libvirt"), { root: `${temp.path}/laid` });
    writeExport(planExport({ dir, host: "vm1", layout: "libvirt" }), placed.dir);
    const verdicts = await checkCredentials(placed.dir, { engine, placed });
    assertEquals(verdicts.filter(({ ok }) => !ok), []);
    assertEquals(verdicts.length, 2 * LIBVIRT_PROFILES.length);
  },
);
