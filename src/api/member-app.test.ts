import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:https";
import { connect } from "node:tls";
import { after, before, test } from "node:test";
import { createLog } from "../base/log.ts";
import { CONTROL_HOSTNAME, createAuthorityCa, issueLeaf } from "../cluster/pki.ts";
import type { DrillAct } from "../drill/acts.ts";
import { revocationKey } from "../edge/identity.ts";
import { wallMs } from "../host/clock.ts";
import { freePorts } from "../host/testing/ports.ts";
import { JOIN_START_PATH } from "../setup/join-protocol.ts";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { createMemberApp, type MemberDeps } from "./member-app.ts";
import { listenWithTls, type TlsListener } from "./serve.ts";

const authority = createAuthorityCa("control", "c1", wallMs());
const refused: string[][] = [];
const drilled: [string, DrillAct][] = [];
const prepared: unknown[] = [];
let port = 0;
let listener: TlsListener | undefined;

/** A member's control certificate with its key. */
function leafOf(id: string): { ca: string; cert: string; key: string } {
  const key = generateEcKey();
  const member = { id, address: "127.0.0.1" };
  const wanted = createRequest({ commonName: id, key });
  const { pem } = issueLeaf(authority, "control", member, wanted, wallMs());
  return { ca: authority.certificatePem, cert: pem, key: exportPkcs8(key) };
}

async function post(id: string, path: string, body: unknown) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request(
      {
        ...leafOf(id),
        host: "127.0.0.1",
        port,
        path,
        method: "POST",
        servername: CONTROL_HOSTNAME,
        headers: { "content-type": "application/json" },
        agent: false,
      },
      (incoming) => {
        let text = "";
        incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
        incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
      },
    );
    outgoing.on("error", reject);
    outgoing.end(JSON.stringify(body));
  });
}

before(async () => {
  const nothing = async () => assert.fail("not asked for here");
  const deps: MemberDeps = {
    log: createLog(() => undefined),
    revokedSerials: () => new Set(),
    local: nothing,
    evidence: () => assert.fail("not asked for here"),
    failedRuns: () => assert.fail("not asked for here"),
    admit: nothing,
    joinKeys: nothing,
    hasCopy: nothing,
    isServer: (id) => id === "s1.test",
    refuse: async (keys) => {
      refused.push(keys);
      return { confirmed: true, because: "" };
    },
    remove: nothing,
    refuses: nothing,
    renewLeaf: nothing,
    switchover: {
      look: nothing,
      prepare: async (wish) => {
        prepared.push(wish);
        return { phase: "prepared", because: "" };
      },
      handOver: nothing,
      taken: nothing,
      take: nothing,
      end: nothing,
    },
    drill: {
      async act(act) {
        drilled.push(["act", act]);
        return { agoMs: 0 };
      },
      undo: async (act) => void drilled.push(["undo", act]),
    },
    drillReports: { list: nothing, read: nothing },
    ownDrill: { progress: () => assert.fail(), stop: () => assert.fail() },
    puppetserverUnit: nothing,
    restartPuppetserver: nothing,
    lookForUpgrades: nothing,
    upgradeJob: nothing,
    upgrade: nothing,
  };
  [port = 0] = await freePorts(1);
  const { ca, ...own } = leafOf("s2.test");
  const tls = { ...own, ca, requestCert: true, rejectUnauthorized: false };
  listener = await listenWithTls(createMemberApp(deps), { address: "127.0.0.1", port, tls });
});
after(async () => listener?.close());

test("/v1/edge/refuse takes keys from servers, and from no other member", async () => {
  const keys = [revocationKey("CN=Puppet CA", "1f")];
  const said = await post("compiler.test", "/v1/edge/refuse", { keys });
  assert.equal(said.status, 403, said.text);
  assert.match(said.text, /api\.forbidden.*compiler\.test is no server/);
  assert.deepEqual(refused, []);
  assert.equal((await post("s1.test", "/v1/edge/refuse", { keys })).status, 200);
  assert.deepEqual(refused.splice(0), [keys]);
});

test("/v1/edge/refuse takes nothing that isn't a revocation's key", async () => {
  const good = revocationKey("CN=Puppet CA", "1f");
  const wrong = ["AA;@1 disable server be/s1", `${good}\n`, `${good} x`, "", good.toLowerCase()];
  for (const key of wrong) {
    const said = await post("s1.test", "/v1/edge/refuse", { keys: [good, key] });
    assert.equal(said.status, 400, `${key}: ${said.text}`);
    assert.match(said.text, /api\.malformed/);
  }
  assert.deepEqual(refused, []);
});

test("/v1/switchover/prepare is asked by servers only, for addresses and nothing else", async () => {
  const wish = {
    id: "a1",
    side: "old",
    limitS: 900,
    moves: [{ address: "10.0.0.10", peer: "10.0.0.2" }],
  };
  const path = "/v1/switchover/prepare";
  const said = await post("compiler.test", path, wish);
  assert.equal(said.status, 403, said.text);
  const wrong = [
    { ...wish, id: "../../etc" },
    { ...wish, side: "both" },
    { ...wish, limitS: 1e9 },
    { ...wish, moves: [] },
    { ...wish, moves: [{ address: "10.0.0.10; reboot" }] },
    { ...wish, moves: [{ address: "10.0.0.10", peer: "lo" }] },
  ];
  for (const each of wrong) {
    const answer = await post("s1.test", path, each);
    assert.match(answer.text, /api\.malformed/, JSON.stringify(each));
  }
  assert.deepEqual(prepared, []);
  // What a peer says of interfaces isn't listened to.
  const more = { ...wish, interface: "eth7", moves: [{ ...wish.moves[0], interface: "eth7" }] };
  assert.equal((await post("s1.test", path, more)).status, 200);
  assert.deepEqual(prepared, [{ ...wish, stand: "first" }]);
});

test("/v1/drill/act is asked by servers only, for a kind of the closed list and nothing else", async () => {
  const act = { id: "0123456789ab", kind: "edge-kill" };
  for (const path of ["/v1/drill/act", "/v1/drill/undo"]) {
    const said = await post("compiler.test", path, act);
    assert.equal(said.status, 403, said.text);
    const wrong = [
      { ...act, id: "../../../etc" },
      { ...act, id: "0123456789AB" },
      { ...act, kind: "rm" },
      { ...act, kind: "vip-move" },
      { kind: "edge-kill" },
    ];
    for (const each of wrong) {
      assert.match(
        (await post("s1.test", path, each)).text,
        /api\.malformed/,
        JSON.stringify(each),
      );
    }
    // What a peer says of units isn't listened to.
    assert.equal((await post("s1.test", path, { ...act, unit: "ssh.service" })).status, 200);
  }
  assert.deepEqual(drilled, [
    ["act", act],
    ["undo", act],
  ]);
});

test("whoever shows no certificate sends little, seldom and on few connections; members go on", async () => {
  const stranger = { host: "127.0.0.1", port, servername: CONTROL_HOSTNAME };
  const tls = { ca: authority.certificatePem, ...stranger };
  const sockets = Array.from({ length: 40 }, () => connect(tls).on("error", () => undefined));
  const ended = sockets.map(async (socket) => once(socket, "close"));
  await Promise.race(ended);
  const keys = [revocationKey("CN=Puppet CA", "1f")];
  assert.equal((await post("s1.test", "/v1/edge/refuse", { keys })).status, 200);
  refused.splice(0);
  for (const socket of sockets) socket.destroy();
  await Promise.all(ended);
  const big = { token: { id: "a", secret: "x".repeat(300_000) } };
  assert.match((await post("s1.test", JOIN_START_PATH, big)).text, /api\.malformed.*262144 bytes/);
  const answers = await Promise.all(
    Array.from({ length: 25 }, async () => post("s1.test", JOIN_START_PATH, {})),
  );
  assert.ok(answers.some(({ status }) => status === 429));
});
