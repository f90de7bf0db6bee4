/** The library's codes that something here depends on, by their names in gnutls.h. */
export const Code = {
  SUCCESS: 0,
  FATAL_ALERT_RECEIVED: -12,
  WARNING_ALERT_RECEIVED: -16,
  DECRYPTION_FAILED: -24,
  AGAIN: -28,
  REHANDSHAKE: -37,
  GOT_APPLICATION_DATA: -38,
  INVALID_REQUEST: -50,
  INTERRUPTED: -52,
  PULL_ERROR: -54,
  PK_SIG_VERIFY_FAILED: -89,
  PREMATURE_TERMINATION: -110,
  PKCS11_PIN_ERROR: -303,
} as const;
