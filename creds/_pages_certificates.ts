/** Pages on what is wrong with certificates and chains. */

import { type Page, page } from "./_page.ts";

const REISSUE = "deno task ca issue HOST";
const LOOK = "deno task creds show DIR";
const CHECK = "deno task creds check DIR";
const COPY = "cp pki/ca-cert.pem DIR/ca-cert.pem";
const CLOCK = "date -u";

/** By code, the texts that lead to a page, most telling first. */
export const CERTIFICATE_PAGES: readonly Page[] = [
  page(
    "CA_EXPIRED",
    [/The CA certificate .* has expired/],
    "an authority in ca-cert.pem is past its end; QEMU before 10.2 refuses even one that this host does not need",
    LOOK,
    "deno task ca renew --all --ca, and copy every pki/hosts/HOST to its host",
  ),
  page(
    "CERT_EXPIRED",
    [/The (server|client) certificate .* has expired/],
    "the host's own certificate is past its end; a program that runs goes on with what it read, and the next start fails",
    LOOK,
    REISSUE,
  ),
  page(
    "CA_NOT_ACTIVE",
    [/The CA certificate .* is not yet active/],
    "the authority's certificate begins in the future: it is new, or this machine's clock is behind",
    CLOCK,
    "set the clock (NTP), or wait",
  ),
  page(
    "CERT_NOT_ACTIVE",
    [/The (server|client) certificate .* is not yet active/],
    "the host's certificate begins in the future: it is new, or this machine's clock is behind",
    CLOCK,
    "set the clock (NTP), or wait",
  ),
  page(
    "CERT_IS_CA",
    [/basic constraints show a CA, but we need one for a/],
    "the first certificate of the file is an authority's; the host's own must come first",
    LOOK,
    REISSUE,
  ),
  page(
    "CA_NOT_CA",
    [/basic constraints do not show a CA/],
    "ca-cert.pem has a certificate of a host, often the host's own",
    LOOK,
    COPY,
  ),
  page(
    "CA_NO_BASIC_CONSTRAINTS",
    [/is missing basic constraints for a CA/],
    "the authority's certificate does not say that it is one, as old or hand-made ones do not",
    LOOK,
    "deno task ca init, which sets the extension, or make your authority anew with it",
  ),
  page(
    "BASIC_CONSTRAINTS_DAMAGED",
    [/Unable to query certificate .* basic constraints/],
    "the basic constraints of a certificate cannot be decoded",
    "openssl x509 -noout -text -in FILE",
    REISSUE,
  ),
  page(
    "KEY_USAGE_DAMAGED",
    [/Unable to query certificate .* key usage/],
    "the key usage of a certificate cannot be decoded",
    "openssl x509 -noout -text -in FILE",
    REISSUE,
  ),
  page(
    "PURPOSE_DAMAGED",
    [/Unable to query certificate .* key purpose/],
    "the extended key usage of a certificate cannot be decoded",
    "openssl x509 -noout -text -in FILE",
    REISSUE,
  ),
  page(
    "CA_KEY_USAGE",
    [/usage does not permit certificate signing/],
    "the critical key usage of an authority lacks keyCertSign",
    LOOK,
    "deno task ca init, and issue anew",
  ),
  page(
    "CERT_KEY_USAGE",
    [/usage does not permit digital signature/],
    "the critical key usage of the host's certificate lacks digitalSignature",
    LOOK,
    REISSUE,
  ),
  page(
    "CERT_KEY_ENCIPHERMENT",
    [/usage does not permit key encipherment/],
    "the critical key usage lacks keyEncipherment, which QEMU wanted up to 7.2.21 and 10.1.2 and libvirt up to 11.5, also of EC keys, where RFC 8813 forbids it",
    "deno task creds check DIR --qemu all --libvirt all",
    "issue with a key usage that is not critical, as deno task ca issue does, or update QEMU",
  ),
  page(
    "CERT_PURPOSE",
    [/purpose does not allow use (for )?with a TLS/],
    "the critical extended key usage lacks serverAuth or clientAuth, whichever the role needs; libvirt takes anyExtendedKeyUsage for none",
    LOOK,
    "deno task ca issue HOST --role server --role client",
  ),
  page(
    "CHAIN_NO_ROOT",
    [/has no issuer in CA chain/],
    "from 10.2 on QEMU wants every authority up to the root in ca-cert.pem, not an intermediate alone",
    LOOK,
    "append the missing authorities to ca-cert.pem",
  ),
  page(
    "CHAIN_CIRCLE",
    [],
    "the authorities in ca-cert.pem issued each other, and none is a root; QEMU from 10.2 on would search for ever",
    LOOK,
    "put the root into ca-cert.pem",
  ),
  page(
    "CHAIN_ORDER",
    [/Cert '.*' does not match issuer of cert '.*'/],
    "a certificate file with a chain must have the leaf first and each one's issuer after it",
    LOOK,
    "sort the file: leaf, then its issuer, and so on",
  ),
  page(
    "CHAIN_NO_ISSUER",
    [/failed validation against .*hasn't got a known issuer/, /signer not found/i],
    "no certificate in ca-cert.pem issued the host's: the authority was made anew, or it is another one's. QEMU before 10.2 does not look for intermediates in the certificate's own file",
    "openssl verify -CAfile DIR/ca-cert.pem FILE",
    COPY,
  ),
  page(
    "CHAIN_INSECURE",
    [/uses an insecure algorithm/],
    "a signature in the chain is by SHA-1 or MD5, a key is too short, or the priority string demands more than the certificates have",
    LOOK,
    REISSUE,
  ),
  page(
    "CHAIN_REVOKED",
    [/failed validation against .*has been revoked/],
    "the certificate is on the list of its authority",
    "openssl crl -noout -text -in DIR/ca-crl.pem",
    REISSUE,
  ),
  page(
    "CHAIN_NOT_TRUSTED",
    [
      /failed validation against .*is not trusted/,
      /failed validation against /,
    ],
    "the chain breaks a rule: its issuer may not sign (a key usage that is not critical lacks keyCertSign), a path length or name constraint is passed, a signature does not fit",
    CHECK,
    "deno task ca init, and issue anew",
  ),
  page(
    "CHAIN_UNVERIFIABLE",
    [/Unable to verify (server|client) certificate .* against CA certificate/],
    "the library could not even begin to verify the certificate",
    CHECK,
    REISSUE,
  ),
];
