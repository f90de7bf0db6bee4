import { assertEquals, assertThrows } from "@std/assert";
import { CREDENTIAL_FILES, findLayout, LAYOUT_NAMES, LAYOUTS } from "../../creds/mod.ts";

/** Paths, modes and owners as libvirt's documentation and `virt-pki-validate` have them. */
const ROWS: readonly (readonly [layout: string, path: string, mode: string, who: string])[] = [
  ["libvirt", "/etc/pki/CA/cacert.pem", "644", "root:root"],
  ["libvirt", "/etc/pki/CA/cacrl.pem", "644", "root:root"],
  ["libvirt", "/etc/pki/libvirt/servercert.pem", "644", "root:root"],
  ["libvirt", "/etc/pki/libvirt/private/serverkey.pem", "600", "root:root"],
  ["libvirt", "/etc/pki/libvirt/clientcert.pem", "644", "root:root"],
  ["libvirt", "/etc/pki/libvirt/private/clientkey.pem", "644", "root:root"],
  ["libvirt-user", "~/.pki/libvirt/cacert.pem", "600", "user:user"],
  ["libvirt-user", "~/.pki/libvirt/cacrl.pem", "600", "user:user"],
  ["libvirt-user", "~/.pki/libvirt/serverkey.pem", "600", "user:user"],
  ["libvirt-user", "~/.pki/libvirt/clientcert.pem", "600", "user:user"],
  ["qemu", "/etc/pki/qemu/server-key.pem", "640", "root:qemu"],
  ["qemu", "/etc/pki/qemu/client-cert.pem", "644", "root:root"],
  ["vnc", "/etc/pki/libvirt-vnc/server-cert.pem", "644", "root:root"],
  ["spice", "/etc/pki/libvirt-spice/server-key.pem", "640", "root:qemu"],
  ["nbd", "/etc/pki/libvirt-nbd/client-key.pem", "640", "root:qemu"],
];

Deno.test("LAYOUTS has the places, names, modes and owners that the programs want", () => {
  for (const [name, path, mode, who] of ROWS) {
    const { place, files } = findLayout(name);
    const found = files.find((file) => `${place}/${file.path}` === path);
    assertEquals(
      [path, found?.mode.toString(8), `${found?.owner}:${found?.group}`],
      [path, mode, who],
    );
  }
});

Deno.test("LAYOUTS has each name once, no file twice, and every folder that a file lies in", () => {
  assertEquals(LAYOUTS.map(({ name }) => name), [...LAYOUT_NAMES]);
  for (const { name, files, directories } of LAYOUTS) {
    assertEquals(new Set(files.map(({ path }) => path)).size, files.length, name);
    assertEquals(files.every(({ file }) => CREDENTIAL_FILES.includes(file)), true, name);
    const folders = directories.map(({ path }) => path);
    for (const { path } of files) {
      assertEquals(folders.includes(path.replace(/\/?[^/]*$/, "")), true, `${name}: ${path}`);
    }
  }
});

Deno.test("LAYOUTS gives a server no client's files and SPICE no list, which nobody would read", () => {
  const names = (layout: string) => findLayout(layout).files.map(({ file }) => file);
  assertEquals(names("vnc"), ["ca-cert.pem", "ca-crl.pem", "server-cert.pem", "server-key.pem"]);
  assertEquals(names("spice"), ["ca-cert.pem", "server-cert.pem", "server-key.pem"]);
  assertEquals(names("nbd"), ["ca-cert.pem", "client-cert.pem", "client-key.pem"]);
});

Deno.test("findLayout() names the layouts there are", () => {
  assertThrows(() => findLayout("xen"), Error, "unknown layout 'xen'");
});
