// The authority's own readers against relatives of valid input: what strangers send, and what lies
// in a directory that is taken over. They give a value or the Fault that they document, and what
// they let in can be written, and read again.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { certificatePem, createCertificate, parseCertificate } from "../x509/certificate.ts";
import { createCrl, crlPem, parseCrl } from "../x509/crl.ts";
import { derInteger, derSequence, derValue, TAG } from "../x509/der.ts";
import { basicConstraints, puppetExtension, subjectAltName } from "../x509/extensions.ts";
import { generateEcKey, spkiOf } from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { derFrom } from "../x509/pem.ts";
import { createRequest, requestPem } from "../x509/request.ts";
import { derTime } from "../x509/time.ts";
import { damaged, fuzzed, valueOr } from "../x509/testing/hostile.ts";
import { hostile } from "../x509/testing/mutate.ts";
import { isCertname } from "./certname.ts";
import { createAuthority } from "./create.ts";
import { readPublishedCrl } from "./crl.ts";
import { readAuthority, type DiskAuthority } from "./directory-state.ts";
import { identify } from "./identity.ts";
import { planImport, planRevocations } from "./import-plan.ts";
import { readContent } from "./import-read.ts";
import { parseInventory, renderInventoryLine } from "./inventory.ts";
import { readIssuer } from "./issuer.ts";
import { readJournal, renderBase, renderEnd, renderEvent, scanJournal } from "./journal-lines.ts";
import { Mirror } from "./mirror.ts";
import { rubyEnvironment } from "./policy-program.ts";
import { readRequest, refuseRequest, refuseSubmission, subjectOf, ttlOf } from "./policy.ts";
import { CA_PREFIX } from "./record.ts";
import { parseSerial, parseSerialFile } from "./serial.ts";
import { CA_SETTINGS_DEFAULT, readCaConf } from "./settings.ts";
import { serialFrom } from "./show.ts";
import { allStatuses } from "./view.ts";

const NOW_MS = Date.UTC(2026, 10, 24);
const DAY_MS = 86_400_000;
const READERS = ["x509.malformed", "x509.unsupported", "x509.key", "ca.bundle-empty"];
const SETTINGS = {
  ...CA_SETTINGS_DEFAULT,
  allowSubjectAltNames: true,
  allowAuthorizationExtensions: true,
};

const anyText = fc.string().map((text) => Buffer.from(text));
const leafKey = generateEcKey();
const request = createRequest({
  commonName: "a.test",
  key: leafKey,
  extensions: [puppetExtension("pp_role", "web"), subjectAltName([{ type: "DNS", value: "b" }])],
});
const requestDer = derFrom(request, ["CERTIFICATE REQUEST"]);

let folder: string;
let cadir: string;
let authority: DiskAuthority;
let leaf: Buffer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-fuzz-"));
  cadir = join(folder, "ca");
  const caName = "Puppet CA: s1.test";
  ({ authority } = await createAuthority({ cadir, caName, keyBits: 1024 }));
  leaf = createCertificate({
    serial: 0xabcn,
    issuerDer: authority.issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: "a.test" }),
    notBeforeMs: NOW_MS - DAY_MS,
    notAfterMs: NOW_MS + DAY_MS,
    spkiDer: spkiOf(leafKey),
    extensions: [puppetExtension("pp_cli_auth", "true"), basicConstraints({ ca: false })],
    signingKey: authority.key,
  });
});
after(() => rm(folder, { recursive: true, force: true }));

const ownList = () => authority.crls[0].der;

test("readRequest and the policy judge every hostile request, and only certnames pass", () => {
  const pem = fc.oneof(
    hostile(requestDer, [leaf], leafKey).map(requestPem),
    damaged(Buffer.from(request)).map((bytes) => bytes.toString("utf8")),
  );
  fc.assert(
    fc.property(pem, (text) => {
      const parsed = readRequest(text);
      if (!parsed.ok) {
        assert.match(parsed.because, /^[\x20-\x7e]+$/);
        return;
      }
      const { read } = parsed;
      assert.deepEqual(readRequest(read.pem), parsed);
      const names = { protectedNames: new Set(["puppet.test"]), isCertname: () => false };
      for (const settings of [CA_SETTINGS_DEFAULT, SETTINGS]) {
        const refused = refuseRequest(read, settings, names);
        if (refused !== undefined) continue;
        assert.ok(isCertname(read.certname));
        assert.equal(refuseSubmission(read, read.certname), undefined);
        assert.ok(ttlOf(read, settings) > 0);
        // What passes can be signed.
        const { altNames, extensions } = subjectOf(read);
        const san = altNames.length === 0 ? [] : [subjectAltName(altNames)];
        createCertificate({
          serial: 1n,
          issuerDer: authority.issuer.certificate.subjectDer,
          subjectDer: nameOf({ commonName: read.certname }),
          notBeforeMs: NOW_MS,
          notAfterMs: NOW_MS,
          spkiDer: read.request.spkiDer,
          extensions: [...san, ...extensions],
          signingKey: leafKey,
        });
      }
    }),
    fuzzed(3000),
  );
});

test("identify takes nobody for an administrator whose certificate isn't the CA's own work", () => {
  const known = { issuer: authority.issuer, isRevoked: () => false, nowMs: NOW_MS };
  const original = parseCertificate(leaf).tbsDer;
  const headers = (pem: string) =>
    new Headers({
      "x-client-verify": "SUCCESS",
      "x-client-dn": "CN=a.test",
      "x-client-cert": encodeURIComponent(pem),
    });
  assert.equal(identify(headers(certificatePem(leaf)), known).who, "caller");
  const pem = fc.oneof(
    // Signed by a stranger with the issuer's name, or not at all.
    hostile(leaf, [requestDer], leafKey).map(certificatePem),
    damaged(Buffer.from(certificatePem(leaf))).map((bytes) => bytes.toString("latin1")),
  );
  fc.assert(
    fc.property(pem, (text) => {
      const found = identify(headers(text), known);
      if (found.who === "caller") assert.deepEqual(found.caller.certificate.tbsDer, original);
    }),
    fuzzed(2000),
  );
});

test("readers of the CA's bundle and list make a value or a Fault of hostile files", () => {
  const bundle = authority.issuer.bundle;
  const list = authority.crlPem;
  fc.assert(
    fc.property(fc.oneof(damaged(bundle), hostile(leaf, [ownList()])), (bytes) => {
      valueOr(READERS, () => readIssuer(bytes));
    }),
    fuzzed(1500),
  );
  fc.assert(
    fc.property(fc.oneof(damaged(list), hostile(ownList(), [leaf], authority.key)), (bytes) => {
      valueOr(READERS, () => readPublishedCrl(bytes, authority.issuer));
    }),
    fuzzed(1000),
  );
});

const LINES = [
  "0x000a 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=web.lab.test",
  "0x0001 2026-01-01T00:00:00UTC 2031-01-01T00:00:00UTC /CN=Puppet CA: s1.test",
  "0xfffffffffffffffff 2024-02-29T23:59:59UTC 2031-12-31T00:00:00UTC /CN=x",
  "",
].join("\n");

test("parseInventory reads only lines that renderInventoryLine writes alike", () => {
  fc.assert(
    fc.property(fc.oneof(damaged(Buffer.from(LINES)), anyText), (bytes) => {
      const { lines } = parseInventory(bytes.toString("utf8"));
      const text = lines.map(renderInventoryLine).join("");
      assert.deepEqual(parseInventory(text), { lines, odd: [] });
    }),
    fuzzed(3000),
  );
});

test("readers of serials and of ca.conf make a value or a Fault of any text", () => {
  const conf =
    "certificate-authority: { allow-subject-alt-names: true, ca-ttl = 5y } # [x]\n" +
    "certificate-authority.ca-ttl: ${a.b}, a.b: 1d, a { c: [${a.b}, {}] }\n";
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-fA-Fx:]*$/)), (text) => {
      const serial = valueOr(["ca.serial"], () => parseSerial(text));
      if (serial !== undefined) assert.equal(parseSerial(serial), serial);
      const typed = serialFrom(text);
      if (typed !== undefined) assert.equal(parseSerial(typed), typed);
      const next = parseSerialFile(text);
      assert.ok(next === undefined || (Number.isInteger(next) && next >= 0));
    }),
    fuzzed(2000),
  );
  fc.assert(
    fc.property(fc.oneof(damaged(Buffer.from(conf)), anyText), (bytes) => {
      valueOr(["ca.conf", "base.duration"], () => readCaConf(bytes.toString("utf8")));
      valueOr(["ca.conf"], () => rubyEnvironment(bytes.toString("utf8")));
    }),
    fuzzed(1500),
  );
});

test("readJournal gives only whole batches of a damaged journal, whatever a good sum is over", async () => {
  const good = [
    renderBase("b"),
    renderEvent({ key: "k1", value: "one", revision: 3 }),
    renderEnd(3),
    renderEvent({ key: "k1", value: null, revision: 4 }),
    renderEvent({ key: "k2", value: "two ☂", revision: 5 }),
    renderEnd(5),
  ];
  const summed = fc.json().map((json) => {
    return `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`;
  });
  const text = fc.oneof(
    damaged(Buffer.from(good.join(""))),
    fc
      .array(fc.oneof(fc.constantFrom(...good), summed))
      .map((lines) => Buffer.from(lines.join(""))),
  );
  const path = join(folder, "journal");
  await fc.assert(
    fc.asyncProperty(text, async (bytes) => {
      await writeFile(path, bytes);
      const scan = await scanJournal(path);
      const events = [];
      for await (const { event } of readJournal(path, scan.goodBytes)) events.push(event);
      assert.deepEqual(
        scan.newest?.revision,
        events.length === 0 ? undefined : Math.max(...events.map(({ revision }) => revision)),
      );
      assert.equal(scan.totalBytes, bytes.length);
      assert.ok(scan.goodBytes <= scan.totalBytes);
      for (const { key, value, revision } of events) {
        assert.equal(typeof key, "string");
        assert.ok(value === null || typeof value === "string");
        assert.ok(Number.isSafeInteger(revision));
      }
    }),
    fuzzed(400),
  );
});

test("a mirror keeps what it can read of a hostile record, and names the rest", () => {
  const value = fc.oneof(fc.json(), fc.string());
  const kinds = ["cert", "name", "request", "revoked", "crl", "block"].map((kind) => `${kind}/`);
  const name = fc.oneof(fc.string(), fc.constantFrom("0000000A", "a.test", "0000000001", "../x"));
  const key = fc.oneof(
    fc.tuple(fc.constantFrom(...kinds), name).map((parts) => parts.join("")),
    fc.constantFrom("authority", "crl-head", "serial", "nonsense"),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(key, value)), (pairs) => {
      const mirror = new Mirror();
      const changes = pairs.map(([key, value]) => ({
        key: CA_PREFIX + key,
        value,
        modRevision: 1,
      }));
      mirror.replace(changes, 1);
      assert.ok(mirror.unreadable.size <= pairs.length);
      allStatuses(mirror);
      mirror.revocations();
    }),
    fuzzed(1000),
  );
});

test("what an import takes of a hostile directory can all be read from the record", async () => {
  const list = oddList();
  const files = fc.record({
    certificate: hostile(leaf, [requestDer, list], authority.key),
    request: hostile(requestDer, [leaf], leafKey),
    list: hostile(list, [leaf], authority.key),
    inventory: damaged(Buffer.from(LINES)),
  });
  const [a, b] = [join(cadir, "signed", "a.test.pem"), join(cadir, "requests", "b.test.pem")];
  const published = join(cadir, "ca_crl.pem");
  const before = await readFile(published);
  await fc.assert(
    fc.asyncProperty(files, async ({ certificate, request, list, inventory }) => {
      await writeFile(a, certificatePem(certificate));
      await writeFile(b, requestPem(request));
      await writeFile(join(cadir, "inventory.txt"), inventory);
      await writeFile(published, isReadable(list) ? crlPem(list) : before);
      const read = await readAuthority(cadir);
      if (read.state !== "complete") {
        assert.equal(read.state, "partial");
        return;
      }
      const content = await readContent(cadir, read);
      const mirror = new Mirror();
      const plan = () => planImport(read, content, mirror, "2026-11-24T00:00:00.000Z");
      const puts = valueOr(["x509.unsupported"], plan) ?? [];
      mirror.replace(
        puts.map(({ key, value }) => ({ key, value, modRevision: 1 })),
        1,
      );
      assert.deepEqual([...mirror.unreadable], []);
      assert.equal(new Set(puts.map(({ key }) => key)).size, puts.length, "a key twice");
      if (puts.length > 0) assert.deepEqual(planRevocations(content, mirror), []);
    }),
    fuzzed(400),
  );
});

function isReadable(list: Buffer): boolean {
  return valueOr(READERS, () => parseCrl(list)) !== undefined;
}

/** A list of the CA's with entries that the record has no place for, as they are. */
function oddList(): Buffer {
  const entry = (serial: Buffer, atMs: number) =>
    derSequence(derValue(TAG.integer, serial), derTime(atMs));
  const old = derValue(TAG.generalizedTime, Buffer.from("19000101000000Z"));
  return createCrl({
    issuerDer: authority.issuer.certificate.subjectDer,
    authorityKeyId: authority.issuer.keyId,
    number: 7,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + DAY_MS,
    signingKey: authority.key,
    entries: [
      entry(Buffer.from([5]), NOW_MS),
      entry(Buffer.from([5]), NOW_MS + DAY_MS),
      entry(Buffer.from([0xff]), NOW_MS),
      entry(Buffer.alloc(30, 0x7f), NOW_MS),
      entry(Buffer.alloc(50, 0x7f), NOW_MS),
      derSequence(derInteger(6), old),
    ],
  }).der;
}
