// The synthetic agent's certificate by a real CA on a real etcd.

import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import type { Ca } from "../ca/authority.ts";
import { type Fleet, startFleet } from "../ca/testing/fleet.ts";
import { keepIdentity } from "../drill/identity.ts";
import { wallMs } from "../host/clock.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { matches, readPrivateKey } from "../x509/keys.ts";
import { probeCa, targetOf } from "./probe.ts";

const NAME = "understudy-probe.s1.lab.test";
const DAY_MS = 86_400_000;

let fleet: Fleet;
let top = "";
let folder = "";
let ca: Ca;
before(async () => {
  fleet = await startFleet();
  top = await mkdtemp(join(tmpdir(), "understudy-probe-"));
});
after(async () => {
  await fleet.close();
  await rm(top, { recursive: true, force: true });
});
beforeEach(async () => {
  await fleet.reset();
  ({ ca } = await fleet.server("s1.lab.test"));
  folder = join(await mkdtemp(join(top, "x")), "probe");
});

const keep = async (nowMs = wallMs()) => keepIdentity(folder, NAME, probeCa(ca), nowMs);
const serialOf = (pem: string) => parseCertificate(pem).serialHex;
const statesOf = () => ca.show(NAME).certificates.map(({ state }) => state);

test("keepIdentity makes an ordinary certificate once, and its key is root's alone", async () => {
  const made = await keep();
  const certificate = parseCertificate(made.cert);
  assert.ok(matches(readPrivateKey(made.key), certificate.spkiDer));
  assert.deepEqual(await keep(), made);
  assert.deepEqual(statesOf(), ["signed"]);
  const [shown] = ca.show(NAME).certificates;
  assert.deepEqual(shown?.authorizationExtensions, {}, "it may administer nothing");
  assert.equal((await stat(join(folder, "key.pem"))).mode & 0o777, 0o600);
});

test("keepIdentity makes a new one where somebody revoked it, and before it ends", async () => {
  const first = await keep();
  await ca.revoke({ names: [NAME] });
  const second = await keep();
  assert.notEqual(serialOf(second.cert), serialOf(first.cert));
  const endMs = parseCertificate(second.cert).notAfter;
  const third = await keep(endMs - 29 * DAY_MS);
  assert.notEqual(serialOf(third.cert), serialOf(second.cert));
  assert.deepEqual(statesOf().filter((state) => state === "signed").length, 1);
});

test("keepIdentity goes on with one that ends soon, but not with a revoked one, while nobody signs", async () => {
  const first = await keep();
  const deaf = { ...probeCa(ca), clean: async () => assert.fail("no quorum") };
  const soonMs = parseCertificate(first.cert).notAfter - DAY_MS;
  assert.deepEqual(await keepIdentity(folder, NAME, deaf, soonMs), first);
  await assert.rejects(keepIdentity(folder, NAME, deaf, soonMs + 2 * DAY_MS), /no quorum/);
  await ca.revoke({ names: [NAME] });
  await assert.rejects(keepIdentity(folder, NAME, deaf, wallMs()), /no quorum/);
});

test("keepIdentity goes on where the files were lost, or an attempt was interrupted", async () => {
  const first = await keep();
  await rm(join(folder, "cert.pem"));
  assert.equal(serialOf((await keep()).cert), serialOf(first.cert), "its key has a certificate");
  await rm(join(folder, "cert.pem"));
  await ca.revoke({ names: [NAME] });
  assert.notEqual(serialOf((await keep()).cert), serialOf(first.cert), "that one is revoked");
  await rm(folder, { recursive: true });
  const anew = await keep();
  assert.notEqual(serialOf(anew.cert), serialOf(first.cert));
  assert.ok(statesOf().includes("revoked"), "what was lost is refused from then on");
});

test("keepIdentity makes a new one where this cluster's CA knows nothing of what is there", async () => {
  const first = await keep();
  await fleet.reset();
  ({ ca } = await fleet.server("s1.lab.test"));
  const second = await keep();
  assert.notEqual(second.cert, first.cert);
  assert.deepEqual(await keep(), second);
});

test("targetOf is where agents connect: the address that is meant, any, or the shared name", () => {
  const virtualIps = ["10.0.0.10/24", "10.0.1.10/24"];
  assert.equal(targetOf({ virtualIps }, "puppet.test"), "10.0.0.10");
  assert.equal(targetOf({ virtualIps }, "puppet.test", "10.0.1.10"), "10.0.1.10");
  assert.equal(targetOf({ virtualIps }, "puppet.test", "10.9.9.9"), "10.0.0.10");
  assert.equal(targetOf({ virtualIps: [] }, "puppet.test", "10.0.1.10"), "puppet.test");
  assert.equal(targetOf(undefined, "puppet.test"), "puppet.test");
});
