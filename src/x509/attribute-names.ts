// The short names of attributes in a distinguished name, as OpenSSL and HAProxy print them.
// Danger: edges know an issuer by this text. One that is printed otherwise here is one whose
// certificates are all refused. Source: X.520, RFC 4519, RFC 4524, RFC 2985, OpenSSL's objects.txt.

/** Of 2.5.4.3 and those that follow it. */
const X520 =
  "CN SN serialNumber C L ST street O OU title description searchGuide businessCategory " +
  "postalAddress postalCode postOfficeBox physicalDeliveryOfficeName telephoneNumber telexNumber " +
  "teletexTerminalIdentifier facsimileTelephoneNumber x121Address internationaliSDNNumber " +
  "registeredAddress destinationIndicator preferredDeliveryMethod presentationAddress " +
  "supportedApplicationContext member owner roleOccupant seeAlso userPassword userCertificate " +
  "cACertificate authorityRevocationList certificateRevocationList crossCertificatePair name GN " +
  "initials generationQualifier x500UniqueIdentifier dnQualifier enhancedSearchGuide " +
  "protocolInformation distinguishedName uniqueMember houseIdentifier supportedAlgorithms " +
  "deltaRevocationList dmdName";

const NAMES: ReadonlyMap<string, string> = new Map([
  ...X520.split(" ").map((name, index): [string, string] => [`2.5.4.${index + 3}`, name]),
  ["2.5.4.65", "pseudonym"],
  ["2.5.4.72", "role"],
  ["2.5.4.97", "organizationIdentifier"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["0.9.2342.19200300.100.1.3", "mail"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["1.2.840.113549.1.9.1", "emailAddress"],
  ["1.2.840.113549.1.9.2", "unstructuredName"],
  ["1.2.840.113549.1.9.8", "unstructuredAddress"],
  ["1.3.6.1.4.1.311.60.2.1.1", "jurisdictionL"],
  ["1.3.6.1.4.1.311.60.2.1.2", "jurisdictionST"],
  ["1.3.6.1.4.1.311.60.2.1.3", "jurisdictionC"],
]);

/** Every OID that has one. */
export const attributeOids: readonly string[] = [...NAMES.keys()];

/** The name of an attribute, or undefined: then the OID stands for it. */
export const attributeName = (oid: string): string | undefined => NAMES.get(oid);
