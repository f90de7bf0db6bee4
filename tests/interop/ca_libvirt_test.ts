import { assertEquals, assertMatch } from "@std/assert";
import { makePki } from "../support/pki.ts";
import { run } from "../support/command.ts";
import { programTest } from "../support/programs.ts";
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

for (const keyType of ["ec-p256", "rsa-2048"] as const) {
  const name = `virt-pki-validate has nothing to say of a host's set, ${keyType}`;
  if (!UNSHARE && !Deno.env.get("CI")) {
    Deno.test({ name: `${name} [SKIPPED, needs root: unshare -m]`, ignore: true, fn: () => {} });
    continue;
  }
  programTest(name, ["virt-pki-validate", "certtool"], async () => {
    using temp = temporaryDirectory();
    const pki = await makePki(`${temp.path}/pki`, { hosts: [{ name: "vm1", keyType }] });
    const validate = async (hostname: string, scratch: string) => {
      Deno.mkdirSync(scratch);
      const args = [VALIDATE, "bash", pki.host("vm1"), scratch, hostname];
      const { code, stdout, stderr } = await run("unshare", ["-m", "-u", "bash", "-c", ...args]);
      // Its exit code is 0 whatever it finds: what counts is what it says.
      assertEquals(code, 0, stderr);
      return stdout + stderr;
    };
    const said = await validate("vm1", `${temp.path}/a`);
    assertEquals(said.match(/^Found .*$/gm)?.length, 6, said);
    assertEquals(said.trim().split("\n").length, 6, said);
    assertMatch(await validate("vm2", `${temp.path}/b`), /does not seem to match/);
  });
}
