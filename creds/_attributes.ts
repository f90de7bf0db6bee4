/** The attribute types that GnuTLS knows in a distinguished name: short name and syntax. */

import { Tag } from "../base/mod.ts";

/** How an attribute is named and which string its value must be. */
export interface AttributeSyntax {
  /** The short name; the number stands for itself where GnuTLS has none. */
  readonly name?: string;
  /** A tag, or a choice of them (DirectoryString, RFC 5280 4.1.2.4). */
  readonly tag: number | "directory";
}

const directory = (name: string): AttributeSyntax => ({ name, tag: "directory" });
const printable = (name: string): AttributeSyntax => ({ name, tag: Tag.PRINTABLE_STRING });
const numeric = (name: string): AttributeSyntax => ({ name, tag: Tag.NUMERIC_STRING });

/** By dotted decimal. */
export const ATTRIBUTES: Readonly<Record<string, AttributeSyntax>> = {
  "2.5.4.3": directory("CN"),
  "2.5.4.4": directory("surName"),
  "2.5.4.5": printable("serialNumber"),
  "2.5.4.6": printable("C"),
  "2.5.4.7": directory("L"),
  "2.5.4.8": directory("ST"),
  "2.5.4.9": directory("street"),
  "2.5.4.10": directory("O"),
  "2.5.4.11": directory("OU"),
  "2.5.4.12": directory("title"),
  "2.5.4.13": directory("description"),
  "2.5.4.15": directory("businessCategory"),
  "2.5.4.17": directory("postalCode"),
  "2.5.4.20": printable("telephoneNumber"),
  "2.5.4.41": directory("name"),
  "2.5.4.42": directory("givenName"),
  "2.5.4.43": directory("initials"),
  "2.5.4.44": directory("generationQualifier"),
  "2.5.4.46": printable("dnQualifier"),
  "2.5.4.65": directory("pseudonym"),
  "0.9.2342.19200300.100.1.1": directory("UID"),
  "0.9.2342.19200300.100.1.25": { name: "DC", tag: Tag.IA5_STRING },
  "1.2.840.113549.1.9.1": { name: "EMAIL", tag: Tag.IA5_STRING },
  "1.2.840.113549.1.9.4": { tag: Tag.OCTET_STRING },
  "1.2.840.113549.1.9.20": { tag: Tag.BMP_STRING },
  "1.2.840.113549.1.9.21": { tag: Tag.OCTET_STRING },
  "1.2.840.113556.1.4.656": directory("userPrincipalName"),
  "1.3.6.1.4.1.311.60.2.1.1": directory("jurisdictionOfIncorporationLocalityName"),
  "1.3.6.1.4.1.311.60.2.1.2": directory("jurisdictionOfIncorporationStateOrProvinceName"),
  "1.3.6.1.4.1.311.60.2.1.3": printable("jurisdictionOfIncorporationCountryName"),
  "1.3.6.1.5.5.7.8.5": { name: "XmppAddr", tag: Tag.UTF8_STRING },
  "1.3.6.1.5.5.7.9.2": directory("placeOfBirth"),
  "1.3.6.1.5.5.7.9.3": printable("gender"),
  "1.3.6.1.5.5.7.9.4": printable("countryOfCitizenship"),
  "1.3.6.1.5.5.7.9.5": printable("countryOfResidence"),
  "1.2.643.100.1": numeric("OGRN"),
  "1.2.643.100.3": numeric("SNILS"),
  "1.2.643.100.5": numeric("OGRNIP"),
  "1.2.643.3.131.1.1": numeric("INN"),
};
