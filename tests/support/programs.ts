/** Tests that need a real program: run where it is, skipped loudly or failed where it is not. */

import { SOAK } from "./soak.ts";

/** Debian's package of each program that tests run. */
export const PACKAGES: Readonly<Record<string, string>> = {
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-img": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "gnutls-cli": "gnutls-bin",
  "gnutls-serv": "gnutls-bin",
  "certtool": "gnutls-bin",
  "psktool": "gnutls-bin",
  "openssl": "openssl",
  "virt-pki-validate": "libvirt-clients",
  "virsh": "libvirt-clients",
  "socat": "socat",
  "softhsm2-util": "softhsm2",
  "git": "git",
  "junitparser": "junitparser",
  "pre-commit": "pre-commit",
  "npx": "npm",
  "bash": "bash",
  "easyrsa": "easy-rsa",
  "jq": "jq",
};

/** Where Debian keeps programs that are not on PATH. */
const FOLDERS: readonly string[] = ["/usr/share/easy-rsa"];

/** How long a test may take, many times what any takes on a busy machine. */
const LIMIT_MINUTES = 5;

/** Where a program is on PATH, or where Debian keeps it, if it is. */
export function findProgram(name: string): string | undefined {
  for (const folder of [...(Deno.env.get("PATH") ?? "").split(":"), ...FOLDERS]) {
    const path = `${folder}/${name}`;
    try {
      if (Deno.statSync(path).isFile) return path;
    } catch { /* not in this folder */ }
  }
  return undefined;
}

/** The programs of a list that are not installed. */
export function missingPrograms(names: readonly string[] = Object.keys(PACKAGES)): string[] {
  return names.filter((name) => findProgram(name) === undefined);
}

/** The line that installs programs. */
export function installLine(names: readonly string[]): string {
  const packages = [...new Set(names.map((name) => PACKAGES[name] ?? name))].sort();
  return `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/**
 * Registers a test that needs real programs. Where one is missing the test is skipped with the
 * line that installs it in its name; in CI it fails instead.
 */
export function programTest(
  name: string,
  programs: readonly string[],
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const missing = missingPrograms(programs);
  if (missing.length === 0) return Deno.test(name, (t) => withinLimit(fn, t));
  const why = `${missing.join(", ")} missing: ${installLine(missing)}`;
  if (Deno.env.get("CI")) {
    return Deno.test(name, () => {
      throw new Error(`not run: ${why}`);
    });
  }
  skippedTest(name, why);
}

/** Registers a test that cannot run here: it is listed as skipped, with the reason in its name. */
export function skippedTest(name: string, why: string): void {
  Deno.test({ name: `${name} [SKIPPED, ${why}]`, ignore: true, fn: () => {} });
}

/** Fails a test whose program hangs, so that the others still run; a soak may take its time. */
async function withinLimit(
  fn: (t: Deno.TestContext) => void | Promise<void>,
  t: Deno.TestContext,
): Promise<void> {
  if (SOAK) return await fn(t);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`not at its end after ${LIMIT_MINUTES} minutes`)),
    LIMIT_MINUTES * 60_000,
  );
  try {
    await Promise.race([fn(t), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
