// Valid structures to begin from, for tests that make them hostile: ours, and openssl's with all
// that it can be talked into.

import { OID } from "../oids.ts";
import { createCrl, type CrlEntry } from "../crl.ts";
import { derUtf8 } from "../der.ts";
import { puppetExtension, subjectAltName } from "../extensions.ts";
import { exportPkcs8, generateEcKey } from "../keys.ts";
import { derFrom } from "../pem.ts";
import { createRequest } from "../request.ts";
import { authority, NOW_MS } from "./authority.ts";
import type { opensslFolder } from "./openssl.ts";

const CONFIG = `[req]
distinguished_name = dn
x509_extensions = ext
req_extensions = ext
attributes = attributes
prompt = no
[dn]
C = DE
O = "Example, Inc."
CN = odd.example.com
[attributes]
challengePassword = secret
[ext]
subjectAltName = DNS:a.example.com,IP:10.0.0.1,IP:2001:db8::1,email:a@b.c,URI:https://x/,RID:1.2.3,dirName:dir,otherName:1.2.3;UTF8:x
basicConstraints = critical,CA:TRUE,pathlen:0
subjectKeyIdentifier = hash
keyUsage = critical,keyCertSign,cRLSign
1.3.6.1.4.1.34380.1.1.13 = ASN1:UTF8String:web+db
1.3.6.1.4.1.34380.1.1.14 = ASN1:BMPSTRING:wide
1.3.6.1.4.1.34380.1.1.15 = DER:61:62:63:64
[dir]
CN = somebody
[ca]
default_ca = d
[d]
database = index.txt
crlnumber = number
certificate = self.pem
private_key = self.key
default_md = sha256
default_crl_days = 30
crl_extensions = crl
[crl]
authorityKeyIdentifier = keyid:always
`;
const INDEX = [
  "R\t310101000000Z\t260102030405Z,keyCompromise\t0A\tunknown\t/CN=a",
  "R\t310101000000Z\t260102030406Z\t80FF\tunknown\t/CN=b",
  "R\t310101000000Z\t260102030407Z,keyTime,20260101000000Z\t0B\tunknown\t/CN=c",
  "",
].join("\n");

/** DER of each kind, and the key that signed it. */
export function makeSamples({ openssl, write, read }: ReturnType<typeof opensslFolder>) {
  const key = generateEcKey();
  const ca = authority(key);
  const leaf = ca.leaf(key);
  const role = puppetExtension("pp_role", "web");
  const request = createRequest({
    commonName: "a.example.com",
    key,
    extensions: [role, subjectAltName([{ type: "DNS", value: "b" }])],
    attributes: [{ oid: OID.challengePassword, values: [derUtf8("secret")] }],
  });
  const entries: CrlEntry[] = [0, 1, 5].map((reason, index) => ({
    serial: 1n << BigInt(index * 60),
    timeMs: NOW_MS + index * 1000,
    reason,
  }));
  const nextUpdateMs = Date.UTC(2051, 0, 1);
  const list = { number: 7, thisUpdateMs: NOW_MS, nextUpdateMs, entries, signingKey: key };
  const crl = createCrl({ issuerDer: ca.issuerDer, authorityKeyId: ca.keyId, ...list });
  write("self.key", exportPkcs8(key));
  write("samples.cnf", CONFIG);
  write("index.txt", INDEX);
  write("number", "1F\n");
  const made = "-config samples.cnf -key self.key -utf8".split(" ");
  openssl(..."req -x509 -new -days 20000 -out self.pem -set_serial 0x80AB".split(" "), ...made);
  openssl(..."req -new -out odd.csr".split(" "), ...made);
  openssl(..."ca -config samples.cnf -gencrl -out odd.crl".split(" "));
  return {
    key,
    certificates: [ca.der, leaf, derFrom(read("self.pem"), ["CERTIFICATE"])],
    requests: [request, read("odd.csr")].map((pem) => derFrom(pem, ["CERTIFICATE REQUEST"])),
    crls: [crl.der, derFrom(read("odd.crl"), ["X509 CRL"])],
  };
}
