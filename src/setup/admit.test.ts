// Joins as the cluster sees them, against a real etcd.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { issueAndRecordLeaf, revokeLeaves } from "../cluster/leaves.ts";
import { deleteMember, markLeaving, readMember } from "../cluster/members.ts";
import { readTokens, updateToken } from "../cluster/record.ts";
import { parseToken, WRONG_SECRETS_MAX } from "../cluster/token.ts";
import { createToken } from "../cluster/tokens.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { admit } from "./admit.ts";
import { createJoiner, createTestSite, type TestSite } from "./testing/site.ts";

let cluster: EtcdTestCluster;
let site: TestSite;

before(async () => {
  cluster = await startEtcdCluster();
  site = await createTestSite(cluster);
});

after(async () => cluster.close());

const refused = (code: string) => (error: unknown) => isFault(error, code);

/** As a removal does it: out of the record, with every token that made it. */
async function remove(id: string): Promise<void> {
  await markLeaving(site.etcd, id);
  const was = await readMember(site.etcd, id);
  assert.ok(was);
  await deleteMember(site.etcd, was);
}

test("admit gives the same joiner the same membership again, with fresh certificates", async () => {
  const joiner = createJoiner("s2.lab.test", "10.0.0.2");
  const token = await site.newToken();
  const first = await admit(site.deps, joiner(token));
  const again = await admit(site.deps, joiner(token));
  assert.deepEqual(
    again.members.map(({ id }) => id),
    ["s1.lab.test", "s2.lab.test"],
  );
  assert.notEqual(again.certificates["control"], first.certificates["control"]);
  assert.equal((await readMember(site.etcd, "s2.lab.test"))?.member.phase, "joining");
});

test("admit names who came in with a token that another server has too", async () => {
  const token = await site.newToken();
  await admit(site.deps, createJoiner("s9.lab.test", "10.0.0.9")(token));
  await assert.rejects(
    admit(site.deps, createJoiner("s8.lab.test", "10.0.0.8")(token)),
    (error) => {
      assert.ok(error instanceof Fault && error.code === "token.used");
      assert.match(error.message, /came in as s9\.lab\.test/);
      assert.match(error.hints.join("\n"), /was stolen: understudy member remove/);
      return true;
    },
  );
  await remove("s9.lab.test");
});

test("admit gives a removed member nothing for its old token and key", async () => {
  const joiner = createJoiner("s3.lab.test", "10.0.0.3");
  const token = await site.newToken();
  await admit(site.deps, joiner(token));
  await updateToken(site.etcd, parseToken(token).id, (kept) => kept && { ...kept, finished: true });
  await markLeaving(site.etcd, "s3.lab.test");
  await assert.rejects(admit(site.deps, joiner(token)), refused("token.used"));
  await remove("s3.lab.test");
  await assert.rejects(admit(site.deps, joiner(token)), refused("token.unknown"));
  assert.equal(await readMember(site.etcd, "s3.lab.test"), undefined);
  assert.ok((await readTokens(site.etcd)).every(({ member }) => member !== "s3.lab.test"));
});

test("admit brings no member back whose token was left in the record", async () => {
  const joiner = createJoiner("s3.lab.test", "10.0.0.3");
  const token = await site.newToken();
  await admit(site.deps, joiner(token));
  const kept = (await readTokens(site.etcd)).find(({ member }) => member === "s3.lab.test");
  await remove("s3.lab.test");
  await updateToken(site.etcd, kept?.id ?? "", () => kept);
  await assert.rejects(admit(site.deps, joiner(token)), refused("token.used"));
  assert.equal(await readMember(site.etcd, "s3.lab.test"), undefined);
});

test("admit lets in one of two joiners at once with the same name", async () => {
  for (let round = 0; round < 5; round++) {
    const id = `twin${round}.lab.test`;
    const tokens = [await site.newToken(), await site.newToken()];
    const outcomes = await Promise.allSettled(
      tokens.map(async (token, index) =>
        admit(site.deps, createJoiner(id, `10.0.1.${round * 2 + index}`)(token)),
      ),
    );
    const lost = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.equal(lost.length, 1, `round ${round}`);
    assert.ok(isFault(lost[0], "join.name-taken"), String(lost[0]));
  }
});

test("admit lets in one of two joiners at once with the same address", async () => {
  for (let round = 0; round < 5; round++) {
    const tokens = [await site.newToken(), await site.newToken()];
    const outcomes = await Promise.allSettled(
      tokens.map(async (token, index) =>
        admit(site.deps, createJoiner(`near${round}${index}.lab.test`, `10.0.2.${round}`)(token)),
      ),
    );
    const lost = outcomes.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    assert.equal(lost.length, 1, `round ${round}`);
    assert.ok(isFault(lost[0], "join.address-taken"), String(lost[0]));
  }
});

test("admit refuses a resumed join with another member's address, or under another name", async () => {
  const token = await site.newToken();
  const joiner = createJoiner("s4.lab.test", "10.0.0.4");
  await admit(site.deps, joiner(token));
  const start = joiner(token);
  const moved = { ...start, member: { ...start.member, address: "10.0.0.1" } };
  await assert.rejects(admit(site.deps, moved), refused("join.address-taken"));
  const renamed = { ...start, member: { ...start.member, id: "s5.lab.test" } };
  await assert.rejects(admit(site.deps, renamed), refused("join.malformed"));
  assert.equal((await readMember(site.etcd, "s4.lab.test"))?.member.address, "10.0.0.4");
});

test("admit takes an address again whose member was removed", async () => {
  await admit(site.deps, createJoiner("s6.lab.test", "10.0.0.6")(await site.newToken()));
  await remove("s6.lab.test");
  await admit(site.deps, createJoiner("s7.lab.test", "10.0.0.6")(await site.newToken()));
  assert.equal((await readMember(site.etcd, "s7.lab.test"))?.member.address, "10.0.0.6");
});

test("admit refuses requests that it couldn't sign before it binds the token", async () => {
  const token = await site.newToken();
  const start = createJoiner("s8.lab.test", "10.0.0.8")(token);
  const { listener = "", ...others } = start.requests;
  const foreign = createJoiner("s9.lab.test", "10.0.0.9")(token).puppetRequest;
  const bad = [
    { ...start, requests: others },
    { ...start, requests: { ...others, listener: "garbage" } },
    { ...start, requests: { ...others, listener: listener.slice(0, -80) } },
    { ...start, puppetRequest: foreign },
    { ...start, puppetRequest: undefined },
  ];
  for (const each of bad) await assert.rejects(admit(site.deps, each), refused("join.malformed"));
  const kept = (await readTokens(site.etcd)).find(({ id }) => id === start.token.id);
  assert.equal(kept?.boundTo, undefined);
  assert.equal(await readMember(site.etcd, "s8.lab.test"), undefined);
  await admit(site.deps, start);
});

test("admit goes on for a bound joiner however many wrong secrets others tried", async () => {
  const token = await site.newToken();
  const start = createJoiner("s10.lab.test", "10.0.0.10")(token);
  await admit(site.deps, start);
  const wrong = { ...start, token: { ...start.token, secret: "x".repeat(43) } };
  for (let tries = 0; tries <= WRONG_SECRETS_MAX; tries++) {
    await assert.rejects(admit(site.deps, wrong), refused("token.wrong-secret"));
  }
  await admit(site.deps, start);
  const fresh = createJoiner("s11.lab.test", "10.0.0.11")(await site.newToken());
  const guess = { ...fresh, token: { ...fresh.token, secret: "x".repeat(43) } };
  for (let tries = 0; tries < WRONG_SECRETS_MAX; tries++) {
    await assert.rejects(admit(site.deps, guess), refused("token.wrong-secret"));
  }
  await assert.rejects(admit(site.deps, fresh), refused("token.burned"));
});

test("admit takes a Puppet certificate back whose member was removed while it was signed", async () => {
  const start = createJoiner("s12.lab.test", "10.0.0.12")(await site.newToken());
  const signPuppet = async () => {
    await remove("s12.lab.test");
    return { certificate: "certificate", bundle: "bundle", crl: "crl" };
  };
  await assert.rejects(admit({ ...site.deps, signPuppet }, start), refused("pki.forbidden"));
  assert.deepEqual(site.revoked, ["s12.lab.test"]);
});

test("issueAndRecordLeaf records none for a member that leaves, so that all it has are revoked", async () => {
  const start = createJoiner("s13.lab.test", "10.0.0.13")(await site.newToken());
  await admit(site.deps, start);
  const { control } = site.authorities;
  const issue = async () =>
    issueAndRecordLeaf(
      site.deps,
      control,
      "control",
      start.member,
      start.requests["control"] ?? "",
    );
  const issuing = Array.from({ length: 20 }, async () => issue().catch(() => undefined));
  await markLeaving(site.etcd, "s13.lab.test");
  const revoked = await revokeLeaves(site.etcd, control, "s13.lab.test", Date.now());
  const handedOut = (await Promise.all(issuing)).flatMap((pem) =>
    pem === undefined ? [] : [parseCertificate(pem).serialHex],
  );
  assert.deepEqual(
    handedOut.filter((serial) => !revoked.includes(serial)),
    [],
  );
  await assert.rejects(issue(), refused("pki.forbidden"));
});

test("createToken makes none for a witness", async () => {
  const wish = { validMs: 60_000, caHash: "a".repeat(43), createdBy: "s1.lab.test", nowMs: 0 };
  await assert.rejects(
    createToken(site.etcd, { ...wish, role: "witness" }),
    refused("token.role-reserved"),
  );
});
