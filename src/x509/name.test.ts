import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { attributeOids } from "./attribute-names.ts";
import { createCertificate, parseCertificate } from "./certificate.ts";
import { derBitOctets, derOid, derSequence, derSetOf, derUtf8, derValue, TAG } from "./der.ts";
import { attributeCount, commonNameOf, isSameName, nameOf, nameText, parseName } from "./name.ts";
import { exportPkcs8, generateEcKey, spkiOf } from "./keys.ts";
import { parseRequest } from "./request.ts";
import { damaged, valueOrFault } from "./testing/hostile.ts";
import { opensslFolder } from "./testing/openssl.ts";

const { openssl, write, read } = opensslFolder();
const key = generateEcKey();
const CN = "2.5.4.3";
const O = "2.5.4.10";

/** A name of RDNs, each a list of [OID, encoded value]. */
function name(...rdns: [string, Buffer][][]): Buffer {
  return derSequence(
    ...rdns.map((rdn) => derSetOf(rdn.map(([oid, value]) => derSequence(derOid(oid), value)))),
  );
}

/** The text that openssl gives a name, by way of a certificate for it. */
function opensslText(subjectDer: Buffer): string {
  const content = { serial: 1n, notBeforeMs: 0, notAfterMs: 1e12, extensions: [] };
  const issuerDer = nameOf({ commonName: "ca" });
  const spkiDer = spkiOf(key);
  write(
    "n.der",
    createCertificate({ ...content, issuerDer, subjectDer, spkiDer, signingKey: key }),
  );
  const words = ["x509", "-inform", "DER", "-in", "n.der", "-noout", "-subject"];
  return openssl(...words, "-nameopt", "RFC2253")
    .replace(/^subject=/, "")
    .replace(/\n$/, "");
}

test("nameOf round trips through commonNameOf, whatever the characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 }), (text) => {
      fc.pre(text.isWellFormed());
      const der = nameOf({ commonName: text });
      assert.equal(commonNameOf(der), text);
      assert.equal(attributeCount(der), 1);
    }),
  );
});

test("nameOf is one UTF8String and refuses to be empty", () => {
  assert.equal(nameOf({ commonName: "ab" }).toString("hex"), "300d310b300906035504030c026162");
  assert.throws(
    () => nameOf({ commonName: "" }),
    (error) => isFault(error, "x509.unencodable"),
  );
});

test("commonNameOf has none in a type that OpenSSL reads in no name", () => {
  const odd = name([[CN, derValue(TAG.visibleString, Buffer.from("ab"))]]);
  assert.equal(commonNameOf(odd), undefined);
  assert.throws(() => opensslText(odd));
});

const bmp = (text: string) => derValue(TAG.bmpString, Buffer.from(text, "utf16le").swap16());
const NAMES: [string, Buffer][] = [
  ["a plain certname", nameOf({ commonName: "web7.example.com" })],
  ["a newline", nameOf({ commonName: "web7.example.com\n" })],
  ["a NUL and DEL", nameOf({ commonName: "a\0b\u007f" })],
  ["every special", nameOf({ commonName: '#a,b+c"d\\e<f>g;h=i/j#' })],
  ["a single #", nameOf({ commonName: "#" })],
  ["a leading blank", nameOf({ commonName: " a b" })],
  ["a trailing blank", nameOf({ commonName: "a b " })],
  ["umlauts and beyond", nameOf({ commonName: "münchen €𝒳" })],
  [
    "several RDNs",
    name([["2.5.4.6", derUtf8("DE")]], [[O, derUtf8("X, Y")]], [[CN, derUtf8("a")]]),
  ],
  ["two common names", name([[CN, derUtf8("a")]], [[CN, derUtf8("b")]])],
  [
    "a multi-valued RDN",
    name(
      [
        [CN, derUtf8("a")],
        [O, derUtf8("b")],
      ],
      [[CN, derUtf8("c")]],
    ),
  ],
  ["an unknown attribute", name([["1.2.3.4", derUtf8("x")]], [[CN, derUtf8("a")]])],
  ["a common name that is no string", name([[CN, derBitOctets(Buffer.from("ab"))]])],
  ["a BMPString", name([[CN, bmp("añ€")]])],
  ["a TeletexString", name([[CN, derValue(TAG.teletexString, Buffer.from("\u00fc", "latin1"))]])],
  [
    "a UniversalString",
    name([[CN, derValue(TAG.universalString, Buffer.from("0001d4b3", "hex"))]]),
  ],
  [
    "every attribute that has a name",
    name(...attributeOids.map((oid): [string, Buffer][] => [[oid, derUtf8("v")]])),
  ],
];
for (const [what, der] of NAMES) {
  test(`nameText prints ${what} as openssl does`, () => {
    assert.equal(nameText(der), opensslText(der));
  });
}

test("parseName refuses a name of more than 64 KiB, also inside a certificate", () => {
  const subjectDer = name(
    ...Array.from({ length: 7000 }, (): [string, Buffer][] => [[CN, derUtf8("a")]]),
  );
  const content = { serial: 1n, notBeforeMs: 0, notAfterMs: 1e12, extensions: [], signingKey: key };
  const certificate = createCertificate({
    ...content,
    issuerDer: nameOf({ commonName: "ca" }),
    subjectDer,
    spkiDer: spkiOf(key),
  });
  for (const read of [() => parseName(subjectDer), () => parseCertificate(certificate)]) {
    assert.throws(read, (error) => isFault(error, "x509.malformed"));
  }
});

test("commonNameOf is undefined for none, several and undecodable ones", () => {
  const none = name([[O, derUtf8("a")]]);
  const several = name([[CN, derUtf8("a")]], [[CN, derUtf8("a")]]);
  const hidden = name([
    [CN, derUtf8("a")],
    [CN, derUtf8("b")],
  ]);
  const broken = name([[CN, derValue(TAG.utf8String, Buffer.from([0xff]))]]);
  for (const der of [none, several, hidden, broken, derSequence()]) {
    assert.equal(commonNameOf(der), undefined);
  }
});

test("attributeCount counts the parts of a multi-valued RDN", () => {
  const der = name([
    [CN, derUtf8("a")],
    [O, derUtf8("b")],
  ]);
  assert.equal(commonNameOf(der), "a");
  assert.equal(attributeCount(der), 2);
});

test("parseName reads the subject of a request made by openssl", () => {
  write("k.pem", exportPkcs8(key));
  const subject = "/C=DE/O=Müller+OU=IT/CN=a.example.com/CN=second";
  const words = "req -new -key k.pem -out r.pem -multivalue-rdn -utf8 -subj";
  openssl(...words.split(" "), subject);
  const rdns = parseName(parseRequest(read("r.pem")).subjectDer);
  assert.deepEqual(
    rdns.map((rdn) => rdn.map(({ text }) => text)),
    [["DE"], ["IT", "Müller"], ["a.example.com"], ["second"]],
  );
});

test("parseName makes a name or a Fault of damaged bytes", () => {
  const valid = name(
    [
      [CN, derUtf8("a")],
      [O, bmp("b")],
    ],
    [["1.2.3.4", derUtf8("x")]],
  );
  fc.assert(
    fc.property(damaged(valid), (bytes) => valueOrFault(() => nameText(bytes))),
    { numRuns: 2000 },
  );
});

test("isSameName passes over types of strings, capitals and blanks, and over nothing else", () => {
  const printable = (text: string) => derValue(TAG.printableString, Buffer.from(text));
  const of = (...parts: [string, Buffer][]) => name(...parts.map((part) => [part]));
  const ca = of([O, derUtf8("Puppet")], [CN, derUtf8("Root CA")]);
  const others: [Buffer, boolean][] = [
    [ca, true],
    [of([O, printable("Puppet")], [CN, printable("Root CA")]), true],
    [of([O, derUtf8("PUPPET")], [CN, derUtf8(" root  ca ")]), true],
    [of([CN, derUtf8("Root CA")], [O, derUtf8("Puppet")]), false],
    [
      name([
        [O, derUtf8("Puppet")],
        [CN, derUtf8("Root CA")],
      ]),
      false,
    ],
    [of([O, derUtf8("Puppet")]), false],
    [of([O, derUtf8("Puppet")], [CN, derUtf8("RootCA")]), false],
    [of([O, derUtf8("Puppet")], [O, derUtf8("Root CA")]), false],
  ];
  for (const [other, same] of others) assert.equal(isSameName(ca, other), same);
});
