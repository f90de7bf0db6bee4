/** Keys that sign, and signatures that are checked, as both engines offer them. */

/** The kinds of key that the toolkit makes. */
export type KeyType = "ec-p256" | "ec-p384" | "rsa-2048" | "rsa-3072" | "rsa-4096" | "ed25519";

/** All kinds, in the order they are shown. */
export const KEY_TYPES: readonly KeyType[] = [
  "ec-p256",
  "ec-p384",
  "rsa-2048",
  "rsa-3072",
  "rsa-4096",
  "ed25519",
];

/** The algorithm that a key signs certificates with. */
export type SignatureAlgorithm =
  | "ecdsa-with-SHA256"
  | "ecdsa-with-SHA384"
  | "sha256WithRSAEncryption"
  | "Ed25519";

/** A private key: owned by whoever asked for it, wiped when disposed. */
export interface SigningKey extends Disposable {
  /** `undefined` for a kind that we read but do not make (RSA-1024, P-521, …). */
  readonly type: KeyType | undefined;
  /** What {@linkcode SigningKey.sign} signs with. */
  readonly algorithm: SignatureAlgorithm;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array<ArrayBuffer>;
  /** The signature as a certificate carries it (ECDSA: DER of r and s). */
  sign(data: Uint8Array): Promise<Uint8Array>;
  /**
   * The key as PKCS#8 PEM; encrypted (PBES2, AES-256-CBC) when a passphrase is given.
   *
   * @throws {EngineError} `KEY` if the key cannot leave its token.
   */
  exportPem(passphrase?: string): Promise<string>;
}

/** A signature to check. */
export interface SignatureCheck {
  /** SubjectPublicKeyInfo of the signer, DER. */
  readonly publicKey: Uint8Array;
  /** AlgorithmIdentifier of the signature, DER. */
  readonly algorithm: Uint8Array;
  readonly data: Uint8Array;
  readonly signature: Uint8Array;
}

/** Makes, reads and checks keys. */
export interface KeyEngine {
  generateKey(type: KeyType): Promise<SigningKey>;
  /**
   * Reads a private key in PEM: PKCS#8, PKCS#1, SEC 1, encrypted or not. Where the engine is
   * GnuTLS, a `pkcs11:` URI (RFC 7512) names a key in a token, with its PIN as the passphrase.
   *
   * @throws {EngineError} `KEY` if it cannot be read or the passphrase is wrong; never with a
   * byte of the key in the text.
   */
  importKey(pem: string, passphrase?: string): Promise<SigningKey>;
  /**
   * Whether the signature is right.
   *
   * @throws {EngineError} `SIGNATURE` for an algorithm that the engine does not know.
   */
  verify(check: SignatureCheck): boolean;
}
