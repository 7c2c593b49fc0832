// The certificate authority of three servers at once: signing, revoking and reading anywhere, stock
// tools, and what may not be lost or repeated when daemons are killed, disks are full and power is
// cut. Agents run all the while.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { generateEcKey } from "../../../src/x509/keys.ts";
import { parseCrl } from "../../../src/x509/crl.ts";
import { createRequest, parseRequest, requestPem } from "../../../src/x509/request.ts";
import { type Agent, createAgents } from "../../agents.ts";
import type { Cluster } from "../../cluster.ts";
import { assertFine } from "../../cluster/compiles.ts";
import { enrol, HUNG_MS } from "../../cluster/crew.ts";
import { knock } from "../../cluster/knock.ts";
import { asNew, keepAlive, Sessions } from "../../cluster/revocation.ts";
import { isDrainedEverywhere } from "../../cluster/drained.ts";
import { lasting, scenario, type Scene, seconds } from "../../cluster/scenario.ts";
import {
  caUrl,
  fetchCertificate,
  fetchCrls,
  freshNames,
  listLost,
  put,
  serialFiles,
  serialOf,
  submit,
} from "../../cluster/signings.ts";
import type { LabHost } from "../../host.ts";

const DAEMON = "understudy.service";
const UNCONFIRMED = 3;
const SIGNINGS = 30;
const SETTLED_MS_MAX = 120_000;
const CHANGE_MS_MAX = 90_000;
/** Long enough for several runs. */
const FULL_MS = 20_000;

const serials = new Set<bigint>();
let serialsBefore = new Map<string, number>();
const { hazard } = scenario({
  crew: ["crew1", "crew2"],
  prepare: async (cluster) => {
    serialsBefore = await serialFiles(cluster);
  },
});

hazard(
  "signed on another server than the one that was asked, and readable everywhere at once",
  async (scene) => {
    const { cluster, report } = scene;
    const [asked, signer] = await roles(cluster);
    const agent = await waitingAgent(scene);
    await signer.run(["understudy", "ca", "sign", agent.certname]);
    assert.deepEqual(await listLost(cluster, cluster.servers, [agent.certname]), []);
    const run = await agent.run({ withinMs: HUNG_MS });
    assertFine(run);
    report(
      `asked ${asked.name}, signed on ${signer.name}, read on all; first run ${seconds(run.ms)}`,
    );
  },
);

hazard("stock puppetserver ca does all its work, from any server", async (scene) => {
  const { cluster } = scene;
  const [, ...others] = await roles(cluster);
  for (const server of [cluster.first, others.at(-1) ?? cluster.first]) {
    const { certname } = await waitingAgent(scene);
    const stock = async (words: string) => {
      const { code, stdout, stderr } = await server.exec(`puppetserver ca ${words}`, {
        withinMs: CHANGE_MS_MAX,
      });
      assert.equal(code, 0, `${server.name}# puppetserver ca ${words}\n${stdout}${stderr}`);
      return stdout;
    };
    assert.match(await stock("list"), new RegExp(certname));
    assert.match(await stock(`sign --certname ${certname}`), /Successfully signed/);
    assert.match(await stock("list --all"), new RegExp(`Signed[^]*${certname}`));
    assert.match(await stock(`revoke --certname ${certname}`), /Revoked|revoked/);
    assert.match(await stock("list --all"), new RegExp(`Revoked[^]*${certname}`));
    await stock(`clean --certname ${certname}`);
    assert.doesNotMatch(await stock("list --all"), new RegExp(certname));
    const made = `made-${certname}`;
    assert.match(await stock(`generate --certname ${made}`), /Successfully saved certificate/);
    const verify = `openssl verify -CAfile certs/ca.pem certs/${made}.pem`;
    await server.run(`cd /var/lib/puppet/ssl && ${verify} && find . -name ${made}.pem -delete`);
    await stock(`clean --certname ${made}`);
  }
});

hazard(
  "revoked is revoked: on new connections, kept-alive and resumed ones, at every edge",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const [agent] = await enrol(cluster, [`revoked${wallMs()}`]);
    assert.ok(agent);
    const kept = await Promise.all(
      cluster.servers.map(async (server) => keepAlive(cluster, server.address, agent)),
    );
    undo(async () => Promise.all(kept.map(async (session) => session.end())));
    const sessions = cluster.servers.map((server) => new Sessions(server, agent));
    for (const each of sessions) assert.deepEqual(await each.keep(), [200, 200]);
    const before = await Promise.all(kept.map(async (session) => session.since(wallMs(), 1)));

    await cluster.first.run(["understudy", "ca", "revoke", agent.certname], {
      withinMs: CHANGE_MS_MAX,
    });
    const revokedMs = wallMs();
    for (const [index, session] of kept.entries()) {
      const [last, [next]] = [before[index]?.[0], await session.since(revokedMs, 1)];
      assert.equal(last?.status, 200);
      assert.equal(next?.status, 403, "the first request after revoke had returned");
      const ports = session.answers().filter(({ sentMs }) => sentMs <= (next?.sentMs ?? 0));
      assert.equal(
        ports.at(-1)?.port,
        ports.at(-2)?.port,
        "on the connection that was open before",
      );
    }
    for (const each of sessions) assert.deepEqual(await each.resume(), [403, 403]);
    for (const server of cluster.servers) assert.equal(await asNew(server, agent), 403);
    report("refused by 3 of 3 edges: new, kept alive since before, and resumed (TLS 1.2 and 1.3)");
  },
);

hazard(
  "an edge that is cut off during a revocation is named, and confirms once it is back",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const [, revoker, cut] = await roles(cluster);
    const [agent] = await enrol(cluster, [`apart${wallMs()}`]);
    assert.ok(agent);
    undo(async () => cut.heal());
    await cut.cutLink({ direction: "silent" });
    await revokeUnconfirmed(revoker, agent, cut);
    await cluster.until(
      "status says that the revocation is open",
      ({ warnings }) => warnings.some((text) => text.includes(cut.fqdn)),
      SETTLED_MS_MAX,
    );
    await cut.heal();
    await untilConfirmed(cluster);
    for (const server of cluster.servers) assert.equal(await asNew(server, agent), 403);
    report(`${cut.name} was cut off: exit code 3; confirmed once it was back`);
  },
);

hazard("the same bytes for a CRL's number, on every server", async ({ cluster, report }) => {
  const [one = "", ...others] = await until(
    "one number on all servers",
    async () => {
      const lists = await fetchCrls(cluster);
      const numbers = new Set(lists.map((pem) => parseCrl(firstBlock(pem)).number));
      return numbers.size === 1 ? lists : undefined;
    },
    { withinMs: SETTLED_MS_MAX, everyMs: 500 },
  );
  for (const other of others) assert.equal(other, one);
  const { number, entries } = parseCrl(firstBlock(one));
  report(
    `CRL ${number} with ${entries.length} entries: ${one.length} bytes, the same on 3 servers`,
  );
});

hazard("no serial twice in 30 signings on three servers at once", async ({ cluster, report }) => {
  const names = freshNames("parallel", SIGNINGS);
  const begunMs = wallMs();
  const answers = await Promise.all(
    names.map(async (name, index) => submit(cluster, serverAt(cluster, index), name)),
  );
  const tookMs = wallMs() - begunMs;
  assert.deepEqual(
    answers.filter(({ status }) => status !== 200),
    [],
  );
  assert.deepEqual(await listLost(cluster, cluster.servers, names), []);
  await assertNewSerials(cluster, names);
  report(
    `${SIGNINGS} certificates in ${seconds(tookMs)}, ${serials.size} different serials so far`,
  );
});

hazard(
  "a daemon killed right after it acknowledged: the certificate is everywhere",
  async (scene) => {
    const { cluster } = scene;
    const [, server] = await roles(cluster);
    const [name = ""] = freshNames("acknowledged", 1);
    const { status, body } = await submit(cluster, server, name);
    await server.signal(DAEMON, "SIGKILL", "all");
    assert.equal(status, 200, body);
    assert.deepEqual(await listLost(cluster, cluster.servers, [name]), []);
    await assertNewSerials(cluster, [name]);
  },
);

hazard("a full disk: the others go on signing, the server says so and heals", async (scene) => {
  const { cluster, excuse, report, undo } = scene;
  const [, full, other] = await roles(cluster);
  undo(async () => full.freeDisk());
  await full.fillDisk();
  let drainedMs = Number.POSITIVE_INFINITY;
  // Its compiles fail until every edge has heard that its puppetserver has no room.
  excuse((run) => run.startedAt < drainedMs && /No space left on device/.test(run.output));
  const names = freshNames("full", 6);
  const answers = await Promise.all(
    names.map(async (name, index) => submit(cluster, index % 2 === 0 ? full : other, name)),
  );
  const signed = names.filter((_, index) => answers[index]?.status === 200);
  assert.ok(signed.length >= 3, "the other server signs all the same");
  await cluster.until(
    "somebody says that a disk is full",
    ({ warnings }) => warnings.some((text) => text.includes(full.fqdn)),
    SETTLED_MS_MAX,
  );
  await cluster.until(
    "no edge gives its puppetserver requests",
    (status) => isDrainedEverywhere(status, full.fqdn),
    SETTLED_MS_MAX,
  );
  drainedMs = wallMs();
  await lasting(FULL_MS);
  const { warnings } = await cluster.status(other);
  await full.freeDisk();
  await cluster.untilWhole();
  assert.deepEqual(await listLost(cluster, cluster.servers, signed), []);
  await assertNewSerials(cluster, signed);
  report(
    `${signed.length} of ${names.length} signed; ${warnings.filter((w) => w.includes(full.fqdn)).join(" ")}`,
  );
});

hazard(
  "a power cut amid signings loses none; revoked meanwhile is refused from the first request on",
  async (scene) => {
    const { cluster, report, undo } = scene;
    const [, other, victim] = await roles(cluster);
    const [agent] = await enrol(cluster, [`meanwhile${wallMs()}`]);
    assert.ok(agent);
    undo(async () => ((await victim.isUp()) ? undefined : victim.boot()));
    const names = freshNames("cut", 60);
    const acknowledged: string[] = [];
    const signings = signOneByOne(cluster, victim, names, acknowledged);
    await until("some certificates", () => acknowledged.length >= 10, { withinMs: CHANGE_MS_MAX });
    await victim.powerCut();
    await signings;
    assert.ok(acknowledged.length < names.length, "the cut came too late to matter");
    const survivors = cluster.servers.filter((server) => server !== victim);
    assert.deepEqual(await listLost(cluster, survivors, acknowledged), []);
    await revokeUnconfirmed(other, agent, victim);

    const watched = watchAnswers(victim, agent);
    undo(async () => watched.stop());
    await victim.boot();
    await cluster.untilWhole();
    await untilConfirmed(cluster);
    const statuses = await watched.stop();
    assert.deepEqual([...new Set(statuses.filter((status) => status !== 0))], [403]);
    assert.deepEqual(await listLost(cluster, cluster.servers, acknowledged), []);
    await assertNewSerials(cluster, acknowledged);
    report(
      `${acknowledged.length} acknowledged before the cut of ${victim.name}, all there; its first ${statuses.filter((s) => s === 403).length} answers were 403`,
    );
  },
);

hazard(
  "requests that are too long, misnamed or not self-signed: the right code, and nothing is kept",
  async ({ cluster }) => {
    const [name = "", other = ""] = freshNames("bad", 2);
    const good = createRequest({ commonName: name, key: generateEcKey() });
    const der = Buffer.from(parseRequest(good).der);
    der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
    const cases: [string, string | Buffer, number][] = [
      ["10 MB", Buffer.alloc(10 * 1024 * 1024, "a"), 413],
      ["10 MB around a good one", good + "#".repeat(10 * 1024 * 1024), 413],
      ["another's name", createRequest({ commonName: other, key: generateEcKey() }), 400],
      ["a broken signature", requestPem(der), 400],
      ["no request at all", "hello", 400],
      ["nothing", "", 400],
    ];
    for (const server of cluster.servers) {
      for (const [what, body, expected] of cases) {
        const { status, body: said, because } = await put(cluster, server, name, body);
        // Whoever sends on after the answer may see the reset that follows it, and not the answer.
        const isReset = expected === 413 && status === 0 && /reset|Broken pipe/i.test(because);
        assert.ok(
          isReset || status === expected,
          `${server.name}, ${what}: ${status} ${said} ${because}`,
        );
      }
      for (const kind of ["certificate_request", "certificate"]) {
        for (const each of [name, other]) {
          const kept = await knock(cluster.agentHost, caUrl(server, `${kind}/${each}`));
          assert.equal(kept.status, 404);
        }
      }
    }
  },
);

hazard("the serial that stock tools would issue next was never set back", async ({ cluster }) => {
  const now = await serialFiles(cluster);
  for (const [name, before] of serialsBefore) {
    assert.ok((now.get(name) ?? 0) >= before, `${name}: ${before} before, ${now.get(name)} now`);
  }
  assert.equal(new Set(now.values()).size, now.size, "two servers would issue the same serial");
});

/** The holder of the address first, then the others. */
async function roles(cluster: Cluster): Promise<[LabHost, LabHost, LabHost]> {
  const holder = (await cluster.holder()) ?? cluster.first;
  const [one, two] = cluster.servers.filter((server) => server !== holder);
  assert.ok(one !== undefined && two !== undefined);
  return [holder, one, two];
}

function serverAt(cluster: Cluster, index: number): LabHost {
  return cluster.servers[index % cluster.servers.length] ?? cluster.first;
}

let asked = 0;

/** An agent whose request waits for an administrator. */
async function waitingAgent({ cluster }: Scene): Promise<Agent> {
  asked += 1;
  const [agent] = await createAgents(cluster.agentHost, [`asks${asked}x${wallMs()}.lab.test`]);
  assert.ok(agent);
  const submitted = await agent.ssl("submit_request");
  assert.ok(submitted.ok, submitted.stdout + submitted.stderr);
  return agent;
}

/** Revokes while `missing` can't confirm: exit code 3, and it is named. */
async function revokeUnconfirmed(revoker: LabHost, agent: Agent, missing: LabHost): Promise<void> {
  const argv = ["understudy", "ca", "revoke", agent.certname];
  const { code, stdout, stderr } = await revoker.exec(argv, { withinMs: CHANGE_MS_MAX });
  assert.equal(code, UNCONFIRMED, stdout + stderr);
  assert.match(stdout, new RegExp(`${missing.fqdn} has not confirmed`));
}

/** Waits until every edge has confirmed the newest revocations. */
async function untilConfirmed(cluster: Cluster): Promise<void> {
  await cluster.until(
    "every edge confirms",
    ({ members }) => {
      const newest = Math.max(...members.map(({ local }) => local?.ca?.crlNumber ?? 0));
      return members.every(({ local }) => local?.edge?.confirmedCrl === newest);
    },
    SETTLED_MS_MAX,
  );
}

/** Keeps the serials of `names`, none of which may have been seen before. */
async function assertNewSerials(cluster: Cluster, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const pem = await fetchCertificate(cluster, cluster.first, name);
    assert.ok(pem !== undefined, `${name} has no certificate`);
    const serial = serialOf(pem);
    assert.ok(!serials.has(serial), `serial ${serial.toString(16)} twice, now for ${name}`);
    serials.add(serial);
  }
}

/** Has `names` signed by `server`, one after the other, until one fails. */
async function signOneByOne(
  cluster: Cluster,
  server: LabHost,
  names: readonly string[],
  acknowledged: string[],
): Promise<void> {
  for (const name of names) {
    if ((await submit(cluster, server, name)).status !== 200) return;
    acknowledged.push(name);
  }
}

/** Asks the edge of `server` as `agent`, over and over, each time on a new connection. */
function watchAnswers(server: LabHost, agent: Agent): { stop(): Promise<number[]> } {
  const statuses: number[] = [];
  const stopping = new AbortController();
  const watch = async () => {
    while (!stopping.signal.aborted) statuses.push(await asNew(server, agent));
  };
  const watching = watch();
  return {
    async stop() {
      stopping.abort();
      await watching;
      return statuses;
    },
  };
}

/** Puppet's CRL file is a chain; the first is the issuing CA's. */
function firstBlock(pem: string): string {
  return pem.slice(0, pem.indexOf("-----END X509 CRL-----") + 23);
}
