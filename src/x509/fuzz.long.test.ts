// Every reader of this folder against relatives of valid structures. It gives a value or the Fault
// that it documents, and where it gives a value, OpenSSL and @peculiar/x509 read the same.

import "reflect-metadata";
import assert from "node:assert/strict";
import { X509Certificate as NodeCertificate } from "node:crypto";
import { test } from "node:test";
import * as peculiar from "@peculiar/x509";
import * as fc from "fast-check";
import { attributeName } from "./attribute-names.ts";
import { type Certificate, certificatePem, parseCertificate } from "./certificate.ts";
import { parseCertificates, verifySignature } from "./certificate.ts";
import { crlPem, encodeCrlEntry, parseCrl, parseCrls, verifyCrl } from "./crl.ts";
import { authorityKey, type Extended, extensionText, isCa } from "./extension-values.ts";
import { subjectAltNames, subjectKeyId } from "./extension-values.ts";
import { encodeExtensions, type Extension } from "./extensions.ts";
import { fingerprints } from "./fingerprint.ts";
import { exportPkcs1, exportPkcs8, exportSpki, generateRsaKey, isSupported } from "./keys.ts";
import { keyIdOf, matches, publicKeyOf, readPrivateKey, spkiOf } from "./keys.ts";
import { attributeCount, commonNameOf, nameText, parseName } from "./name.ts";
import { decodePem, encodePem } from "./pem.ts";
import { parseRequest, requestPem, verifyRequest } from "./request.ts";
import { damaged, fuzzed, valueOr } from "./testing/hostile.ts";
import { hostile } from "./testing/mutate.ts";
import { opensslFolder } from "./testing/openssl.ts";
import { makeSamples } from "./testing/samples.ts";

const folder = opensslFolder();
const { ask, openssl, write } = folder;
const { key, certificates, requests, crls } = makeSamples(folder);
const all = [...certificates, ...requests, ...crls];
/** Accepted structures that the openssl command is asked about: each costs some processes. */
const ORACLE_RUNS = 15;
const PECULIAR_BYTES_MAX = 2000;

const relatives = (of: readonly Buffer[]) =>
  fc.oneof(...of.map((der) => hostile(der, all, key)), ...of.map(damaged));

/** What is inside an extension may be malformed on its own: the certificate isn't. */
function readExtensions(source: Extended): void {
  for (const read of [subjectAltNames, authorityKey, subjectKeyId, isCa]) {
    valueOr(["x509.malformed"], () => read(source));
  }
  for (const extension of source.extensions)
    assert.equal(typeof extensionText(extension), "string");
}

const certificate = (der: Buffer) => valueOr(["x509.malformed"], () => parseCertificate(der));
const request = (der: Buffer) => valueOr(["x509.malformed"], () => parseRequest(der));
const crl = (der: Buffer) => valueOr(["x509.malformed", "x509.unsupported"], () => parseCrl(der));

test("parseCertificate makes a Fault of hostile certificates, or reads what OpenSSL reads", () => {
  fc.assert(
    fc.property(relatives(certificates), (der) => {
      const parsed = certificate(der);
      if (parsed === undefined) return;
      readExtensions(parsed);
      assert.deepEqual(parseCertificates(certificatePem(parsed.der)), [parsed]);
      if (hasPlainNames(parsed)) sameAsNode(parsed);
    }),
    fuzzed(1500),
  );
});

/** Whether all of both names is text. OpenSSL reads no others; here they come to no text at all. */
function hasPlainNames({ subjectDer, issuerDer }: Pick<Certificate, "subjectDer" | "issuerDer">) {
  return [subjectDer, issuerDer].every(isPlainName);
}

function isPlainName(name: Buffer): boolean {
  return parseName(name)
    .flat()
    .every(({ oid, text }) => text !== undefined && attributeName(oid) !== undefined);
}

function sameAsNode(parsed: Certificate): void {
  // OpenSSL looks into the key at once, we do when it is used.
  const publicKey = valueOr(["x509.key"], () => publicKeyOf(parsed.spkiDer));
  if (publicKey === undefined) return;
  const theirs = new NodeCertificate(parsed.der);
  assert.equal(fingerprints(parsed.der).SHA256, theirs.fingerprint256);
  assert.equal(parsed.serialHex.replace(/^(-?)0+(?=.)/, "$1"), trimmed(theirs.serialNumber));
  assert.equal(parsed.notBefore, Date.parse(theirs.validFrom));
  assert.equal(parsed.notAfter, Date.parse(theirs.validTo));
  assert.deepEqual(spkiOf(theirs.publicKey), spkiOf(publicKey));
  assert.equal(verifySignature(parsed, key), theirs.verify(publicKeyOf(spkiOf(key))));
}

const trimmed = (hex: string) => hex.replace(/^(-?)0+(?=.)/, "$1");

test("parseRequest makes a Fault of hostile requests, or reads what @peculiar/x509 reads", () => {
  fc.assert(
    fc.property(relatives(requests), (der) => {
      const parsed = request(der);
      if (parsed === undefined) return;
      readExtensions({ extensions: parsed.requestedExtensions });
      assert.equal(typeof verifyRequest(parsed), "boolean");
      assert.deepEqual(parseRequest(requestPem(parsed.der)), parsed);
      const theirs = maybe(parsed.der, (bytes) =>
        Array.from(new peculiar.Pkcs10CertificateRequest(bytes).extensions, plain),
      );
      // It finds none where something else is garbled that we don't look into.
      if (theirs?.length) assert.deepEqual(parsed.requestedExtensions, theirs);
    }),
    fuzzed(1500),
  );
});

/**
 * What @peculiar/x509 makes of it: it looks into parts that are opaque to us, refuses some of them,
 * and takes its time where they are long.
 */
function maybe<T>(der: Buffer, read: (bytes: Uint8Array<ArrayBuffer>) => T): T | undefined {
  if (der.length > PECULIAR_BYTES_MAX) return undefined;
  try {
    return read(new Uint8Array(der));
  } catch {
    return undefined;
  }
}

const plain = ({ type, critical, value }: peculiar.Extension) => ({
  oid: type,
  critical,
  value: Buffer.from(value),
});

test("parseCrl makes a Fault of hostile lists, or reads what @peculiar/x509 reads", () => {
  fc.assert(
    fc.property(relatives(crls), (der) => {
      const parsed = crl(der);
      if (parsed === undefined) return;
      readExtensions(parsed);
      assert.equal(typeof verifyCrl(parsed, key), "boolean");
      assert.deepEqual(parseCrls(crlPem(parsed.der)), [parsed]);
      const theirs = maybe(parsed.der, (bytes) => {
        const list = new peculiar.X509Crl(bytes);
        return {
          extensions: Array.from(list.extensions, plain),
          thisUpdateMs: list.thisUpdate.getTime(),
          nextUpdateMs: list.nextUpdate?.getTime(),
        };
      });
      if (theirs === undefined) return;
      const { extensions, thisUpdateMs, nextUpdateMs } = parsed;
      assert.deepEqual({ extensions, thisUpdateMs, nextUpdateMs }, theirs);
    }),
    fuzzed(1500),
  );
});

test("what parseCertificate accepts, openssl names, dates and takes apart alike", () => {
  fc.assert(
    fc.property(relatives(certificates), (der) => {
      const parsed = certificate(der);
      fc.pre(parsed !== undefined && hasPlainNames(parsed));
      fc.pre(valueOr(["x509.key"], () => publicKeyOf(parsed.spkiDer)) !== undefined);
      write("c.der", parsed.der);
      const [subject, issuer] = linesOf(
        "x509 -inform DER -in c.der -noout -subject -issuer -nameopt RFC2253",
      );
      assert.equal(subject, `subject=${parsed.subjectText}`);
      assert.equal(issuer, `issuer=${parsed.issuerText}`);
      assert.ok(isPartOf(parsed.extensions, octetStringsOf("c.der")));
    }),
    fuzzed(ORACLE_RUNS),
  );
});

test("what parseRequest accepts, openssl names and verifies alike", () => {
  fc.assert(
    fc.property(relatives(requests), (der) => {
      const parsed = request(der);
      fc.pre(parsed !== undefined && isPlainName(parsed.subjectDer));
      fc.pre(valueOr(["x509.key"], () => publicKeyOf(parsed.spkiDer)) !== undefined);
      write("r.der", parsed.der);
      const words = "req -inform DER -in r.der -noout -subject -nameopt RFC2253";
      const said = openssl(...words.split(" "));
      assert.ok(said.includes(`subject=${parsed.subjectText}\n`), said);
      assert.ok(isPartOf(parsed.requestedExtensions, octetStringsOf("r.der")));
      const { ok, text } = ask(..."req -inform DER -in r.der -noout -verify".split(" "));
      assert.equal(ok && text.includes("verify OK"), verifyRequest(parsed));
    }),
    fuzzed(ORACLE_RUNS),
  );
});

test("what parseCrl accepts, openssl lists and verifies alike", () => {
  const ca = parseCertificate(certificates[0] ?? Buffer.alloc(0));
  write("ca.pem", certificatePem(ca.der));
  fc.assert(
    fc.property(relatives(crls), (der) => {
      const parsed = crl(der);
      fc.pre(parsed !== undefined && isPlainName(parsed.issuerDer));
      write("l.der", parsed.der);
      const isOurs = parsed.issuerDer.equals(ca.subjectDer);
      const words = "crl -inform DER -in l.der -noout -text -issuer -nameopt RFC2253".split(" ");
      const said = openssl(...words);
      assert.ok(said.includes(`issuer=${parsed.issuerText}\n`), said);
      assert.deepEqual(
        serialsIn(said),
        parsed.entries.map(({ serial }) => serial),
      );
      // OpenSSL finds a CA of the same name in other letters too.
      if (!isOurs) return;
      const { ok, text } = ask(..."crl -inform DER -in l.der -noout -CAfile ca.pem".split(" "));
      assert.equal(ok && text.includes("verify OK"), verifyCrl(parsed, key));
    }),
    fuzzed(ORACLE_RUNS),
  );
});

const linesOf = (words: string) => openssl(...words.split(" ")).split("\n");

/** OpenSSL ends a line with a backslash after 35 bytes of a number. */
function serialsIn(said: string): bigint[] {
  const text = said.replaceAll("\\\n", "");
  return [...text.matchAll(/^ {4}Serial Number: (-?)(\w+)$/gm)].map(([, sign, hex = ""]) =>
    sign === "-" ? -BigInt(`0x${hex}`) : BigInt(`0x${hex}`),
  );
}

/** Whether the values of `extensions` are among `octets`, one after the other. */
function isPartOf(
  extensions: readonly Extension[],
  octets: readonly Buffer[] | undefined,
): boolean {
  const joined = (all: readonly Buffer[]) => all.map((each) => `${each.toString("hex")};`).join("");
  if (octets === undefined) return true;
  return joined(octets).includes(joined(extensions.map(({ value }) => value)));
}

/**
 * Every OCTET STRING in a file, as openssl prints them: text where all of it is printable.
 * Undefined: it stumbles over something that is opaque to us.
 */
function octetStringsOf(name: string): Buffer[] | undefined {
  const { ok, text: printed } = ask("asn1parse", "-inform", "DER", "-in", name);
  if (!ok) return undefined;
  const found = printed.matchAll(
    /prim: OCTET STRING +(?:\[HEX DUMP\]:([0-9A-F]*)|:([^]*?)|)\n(?= *\d+:d=|$)/g,
  );
  return [...found].map(([, hex, text = ""]) =>
    hex === undefined ? Buffer.from(text, "latin1") : Buffer.from(hex, "hex"),
  );
}

test("parseName makes a Fault of hostile names, or text that says the same of them", () => {
  const names = certificates.map((der) => parseCertificate(der).subjectDer);
  fc.assert(
    fc.property(relatives(names), (der) => {
      const name = valueOr(["x509.malformed"], () => parseName(der));
      if (name === undefined) return;
      assert.equal(typeof nameText(name), "string");
      assert.equal(commonNameOf(der), commonNameOf(name));
      assert.equal(attributeCount(der), name.flat().length);
    }),
    fuzzed(1000),
  );
});

test("readers of keys make a key or the Fault x509.key of hostile ones", async () => {
  const rsa = await generateRsaKey(1024);
  const spkis = [spkiOf(key), spkiOf(rsa)];
  const pems = [exportPkcs8(key), exportPkcs8(rsa), exportPkcs1(rsa)];
  const ders = pems.flatMap((pem) => decodePem(pem).map(({ der }) => der));
  const labels = fc.constantFrom("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY");
  fc.assert(
    fc.property(fc.oneof(...ders.map((der) => hostile(der, ders))), labels, (der, label) => {
      const read = valueOr(["x509.key"], () => readPrivateKey(encodePem(label, der)));
      if (read === undefined) return;
      assert.ok(isSupported(read));
      assert.equal(typeof matches(read, spkiOf(key)), "boolean");
    }),
    fuzzed(600),
  );
  fc.assert(
    fc.property(fc.oneof(...spkis.map((der) => hostile(der, spkis))), (der) => {
      const id = valueOr(["x509.malformed"], () => keyIdOf(der));
      if (id !== undefined) assert.equal(id.length, 20);
      const read = valueOr(["x509.key"], () => publicKeyOf(der));
      if (read === undefined || !isSupported(read)) return;
      assert.match(exportSpki(read), /BEGIN PUBLIC KEY/);
      assert.equal(matches(key, der), spkiOf(read).equals(spkiOf(key)));
    }),
    fuzzed(1500),
  );
});

test("decodePem makes a Fault of damaged bundles, or blocks that come back as they are", () => {
  const bundle = Buffer.from(
    `# CAs\n${certificates.map(certificatePem).join("\n")}${crls.map(crlPem).join("")}`,
  );
  fc.assert(
    fc.property(damaged(bundle), (bytes) => {
      const text = bytes.toString("latin1");
      const blocks = valueOr(["x509.malformed"], () => decodePem(text));
      if (blocks === undefined) return;
      const again = blocks.map(({ label, der }) => encodePem(label, der)).join("");
      assert.deepEqual(decodePem(again), blocks);
      valueOr(["x509.malformed"], () => parseCertificates(text));
      valueOr(["x509.malformed", "x509.unsupported"], () => parseCrls(text));
    }),
    fuzzed(1000),
  );
});

test("extensions and entries that were accepted can be written again, and say the same", () => {
  fc.assert(
    fc.property(relatives(certificates), relatives(crls), (certificateDer, crlDer) => {
      const extensions = certificate(certificateDer)?.extensions ?? [];
      assert.ok(encodeExtensions(extensions).length > 0);
      for (const entry of crl(crlDer)?.entries ?? []) {
        // What a list of ours can't say is refused when it is written, never written otherwise.
        valueOr(["x509.unencodable"], () => encodeCrlEntry(entry));
      }
    }),
    fuzzed(1500),
  );
});
