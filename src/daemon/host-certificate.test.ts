import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createLog } from "../base/log.ts";
import type { Settings } from "../cluster/schema.ts";
import { startFleet, type Fleet, type TestServer } from "../ca/testing/fleet.ts";
import { type Certificate, parseCertificate, subjectAltNames } from "../x509/certificate.ts";
import { exportPkcs8, generateEcKey, matches } from "../x509/keys.ts";
import { createHostCertificate, type HostCertificateHost, isDue } from "./host-certificate.ts";

const SETTINGS = {
  sharedName: "puppet.test",
  otherNames: [] as string[],
  virtualIps: [],
  acceptProxyFrom: [],
  isolatedEdge: "serve",
  voters: 3,
} satisfies Settings;

let fleet: Fleet;
let one: TestServer;
let folder: string;
before(async () => {
  fleet = await startFleet();
  one = await fleet.server("s1");
  await one.ca.repair();
  folder = await mkdtemp(join(tmpdir(), "understudy-host-"));
});
after(async () => {
  await fleet.close();
  await rm(folder, { recursive: true, force: true });
});

void test("isDue renews four months before the end, of a short life at its half", () => {
  const days = (count: number) => count * 86_400_000;
  const cases: [life: number, left: number, due: boolean][] = [
    [5 * 365, 121, false],
    [5 * 365, 119, true],
    [5 * 365, -1, true],
    [30, 16, false],
    [30, 14, true],
  ];
  for (const [life, left, due] of cases) {
    const certificate = { notBefore: 0, notAfter: days(life) } as Certificate;
    assert.equal(isDue(certificate, days(life - left)), due, `${left} of ${life} days left`);
  }
});

void test("the certificate gets a name that is added, keeps its key, and is left alone else", async () => {
  const layout = {
    cadir: one.cadir,
    hostcert: join(folder, "cert.pem"),
    hostprivkey: join(folder, "key.pem"),
  };
  const key = generateEcKey();
  await mkdir(folder, { recursive: true });
  await writeFile(layout.hostprivkey, exportPkcs8(key));
  const log = createLog(() => undefined);
  const host = { node: { id: "s1.test" }, layout, owners: {}, log };
  const certificate = createHostCertificate(host as unknown as HostCertificateHost, one.ca);
  const there = async () => parseCertificate(await readFile(layout.hostcert, "utf8"));
  const names = async () => subjectAltNames(await there()).map(({ value }) => value);

  assert.equal(await certificate.keep(SETTINGS), false, "the first one is setup's to make");
  await certificate.reissue(SETTINGS);
  assert.deepEqual((await names()).sort(), ["puppet.test", "s1.test"]);
  assert.equal(await certificate.keep(SETTINGS), false);
  const before = (await there()).serial;

  const added = { ...SETTINGS, otherNames: ["new.test", "10.0.0.5", "fd00::5"] };
  assert.equal(await certificate.keep(added), true);
  assert.deepEqual((await names()).sort(), [
    "10.0.0.5",
    "fd00::5",
    "new.test",
    "puppet.test",
    "s1.test",
  ]);
  assert.notEqual((await there()).serial, before);
  assert.ok(matches(key, (await there()).spkiDer));
  assert.equal(await certificate.keep(added), false);
  assert.equal(await certificate.keep(SETTINGS), false, "a name more is no reason");

  // One that never comes out as it went in is signed for once.
  const odd = { ...SETTINGS, otherNames: ["fd00:0:0::5:1"] };
  const first = await certificate.keep(odd);
  assert.equal(await certificate.keep(odd), false, `signed the first time: ${first}`);

  const without = { ...SETTINGS, sharedName: "another.test" };
  assert.equal(await certificate.keep(without), false, "setup has yet to make it");
});
