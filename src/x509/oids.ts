// Object identifiers of X.509, PKCS and Puppet, and Puppet's short names for its own.
// Source: RFC 5280, RFC 2985, RFC 5758 and Puppet's documentation of CSR attributes.

export const OID = {
  commonName: "2.5.4.3",

  subjectKeyIdentifier: "2.5.29.14",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  crlNumber: "2.5.29.20",
  crlReason: "2.5.29.21",
  deltaCrlIndicator: "2.5.29.27",
  issuingDistributionPoint: "2.5.29.28",
  authorityKeyIdentifier: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  netscapeComment: "2.16.840.1.113730.1.13",

  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",

  challengePassword: "1.2.840.113549.1.9.7",
  extensionRequest: "1.2.840.113549.1.9.14",

  sha1WithRsa: "1.2.840.113549.1.1.5",
  sha256WithRsa: "1.2.840.113549.1.1.11",
  sha384WithRsa: "1.2.840.113549.1.1.12",
  sha512WithRsa: "1.2.840.113549.1.1.13",
  ecdsaWithSha1: "1.2.840.10045.4.1",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  ecdsaWithSha384: "1.2.840.10045.4.3.3",
  ecdsaWithSha512: "1.2.840.10045.4.3.4",

  ppRegCertExt: "1.3.6.1.4.1.34380.1.1",
  ppPrivCertExt: "1.3.6.1.4.1.34380.1.2",
  ppAuthCertExt: "1.3.6.1.4.1.34380.1.3",
  ppAuthAutoRenew: "1.3.6.1.4.1.34380.1.3.2",
  ppCliAuth: "1.3.6.1.4.1.34380.1.3.39",
} as const;

const REGISTERED = [
  "pp_uuid",
  "pp_instance_id",
  "pp_image_name",
  "pp_preshared_key",
  "pp_cost_center",
  "pp_product",
  "pp_project",
  "pp_application",
  "pp_service",
  "pp_employee",
  "pp_created_by",
  "pp_environment",
  "pp_role",
  "pp_software_version",
  "pp_department",
  "pp_cluster",
  "pp_provisioner",
  "pp_region",
  "pp_datacenter",
  "pp_zone",
  "pp_network",
  "pp_securitypolicy",
  "pp_cloudplatform",
  "pp_apptier",
  "pp_hostname",
  "pp_owner",
] as const;

const OID_BY_NAME: ReadonlyMap<string, string> = new Map([
  ...REGISTERED.map((name, index): [string, string] => [name, `${OID.ppRegCertExt}.${index + 1}`]),
  ["pp_authorization", `${OID.ppAuthCertExt}.1`],
  ["pp_auth_auto_renew", OID.ppAuthAutoRenew],
  ["pp_auth_role", `${OID.ppAuthCertExt}.13`],
  ["pp_cli_auth", OID.ppCliAuth],
]);
const NAME_BY_OID: ReadonlyMap<string, string> = new Map(
  [...OID_BY_NAME].map(([name, oid]): [string, string] => [oid, name]),
);

/** The OID of a Puppet short name ("pp_role"), or undefined. */
export const puppetOid = (shortName: string): string | undefined => OID_BY_NAME.get(shortName);

/** Puppet's short name of an OID, or undefined. */
export const puppetShortName = (oid: string): string | undefined => NAME_BY_OID.get(oid);

/** Whether `oid` lies below `arc` ("1.2.3" lies below "1.2"; "1.2" and "1.23" do not). */
export const isUnder = (oid: string, arc: string): boolean => oid.startsWith(`${arc}.`);
