// Init and join are ended at every step, and in the middle of steps, by SIGKILL or by a power cut,
// and repeated: the same command goes on to the same cluster, the same CA and the same member.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { until } from "../../src/base/retry.ts";
import { cutShort, type Interruption } from "../cluster/cut-short.ts";
import { exchange } from "../cluster/exchange.ts";
import { INIT, statusOf, URL } from "../cluster/commands.ts";
import { openTwoServers } from "../cluster/two-servers.ts";
import type { Lab } from "../lab.ts";
import type { LabHost } from "../host.ts";

const JOIN = `understudy join ${URL} --token-file /root/token`;
const CADIR = "/etc/puppet/puppetserver/ca";
const PKI = "/var/lib/understudy/pki";
const NODE = "/etc/understudy/node.json";
// Or the boot before may have started it already, and the rest is over before a signal arrives.
const PUPPETSERVER = "puppetserver.service";
const SETUP_MS_MAX = 300_000;

/** Within etcd's first moments. */
const ETCD_BEGUN: Interruption = [/✓ cluster certificates/, "power cut", 200];
/** What a power cut then leaves now and then: an empty log, with which etcd can't start. */
const HALF_MADE = `systemctl stop understudy-etcd
  log=/var/lib/understudy/etcd/data/member/wal/0000000000000000-0000000000000000.wal
  install -D -o understudy-etcd -g understudy-etcd -m 600 /dev/null $log
  chown -R understudy-etcd: /var/lib/understudy/etcd/data && sync -f $log`;

const INIT_ENDS: readonly Interruption[] = [
  [/✓ preflight/, "power cut"],
  [/✓ preflight/, "SIGKILL", 60],
  [/✓ cluster certificates/, "SIGKILL"],
  ETCD_BEGUN,
  [/✓ shared record/, "power cut"],
  [/✓ cluster record/, "SIGKILL"],
  [/looking at the CA directory|✓ certificate authority/, "SIGKILL"],
  [/✓ certificate authority/, "power cut"],
  [/✓ certificate authority/, "SIGKILL", 60],
  [/✓ certificate authority/, "power cut", 120],
  [/✓ puppetserver moves behind the edge/, "SIGKILL"],
  [/✓ daemon/, "SIGKILL"],
  [/✓ this server's Puppet certificate/, "power cut"],
  [/✓ edge takes agents/, "power cut"],
  [/its first start takes/, "SIGKILL"],
];
const JOIN_ENDS: readonly Interruption[] = [
  [/✓ preflight/, "SIGKILL"],
  [/✓ admitted/, "power cut"],
  [/✓ admitted/, "SIGKILL", 40],
  [/✓ certificates of this member/, "SIGKILL"],
  [/✓ certificates of this member/, "power cut", 40],
  [/✓ keys of the certificate authority/, "power cut"],
  [/✓ keys of the certificate authority/, "SIGKILL", 60],
  [/✓ puppetserver moves behind the edge/, "SIGKILL"],
  [/✓ daemon/, "power cut"],
  [/✓ this server's Puppet certificate/, "SIGKILL"],
  [/✓ edge takes agents/, "power cut"],
  [/its first start takes/, "SIGKILL"],
];

let lab: Lab;
let s1: LabHost;
let s2: LabHost;

before(async () => {
  ({ lab, s1, s2 } = await openTwoServers());
});

after(async () => lab?.down());

test("init that is interrupted at each step goes on to the same cluster and the same CA", async () => {
  const identity = new Identity();
  for (const end of INIT_ENDS) {
    if (end === INIT_ENDS.at(-1)) await s1.run(`systemctl stop ${PUPPETSERVER}`);
    await cutShort(s1, INIT, end);
    await identity.check(s1, `after ${String(end[0])}`);
    if (end === ETCD_BEGUN) await s1.run(["bash", "-c", HALF_MADE]);
  }
  const said = await s1.run(INIT, { withinMs: SETUP_MS_MAX });
  assert.match(
    said,
    /understudy join https:\/\/10\.88\.0\.11:9140\n\nIt asks for the token:\n\n {2}U1\.s\./,
  );
  await identity.check(s1, "at the end");
  const others = async () => {
    const { warnings } = await statusOf(s1);
    return warnings.filter((text) => !text.includes("With one voter")).length;
  };
  await until("nothing to warn of", async () => (await others()) === 0, { withinMs: 120_000 });
  const { members } = await statusOf(s1);
  assert.deepEqual(
    members.map(({ member }) => [member.id, member.phase]),
    [[s1.fqdn, "ready"]],
  );
  await agentRuns(s1);
});

test("join that is interrupted at each step goes on with the same token, and only with the same key", async () => {
  const made: unknown = JSON.parse(await s1.run("understudy token create --json"));
  const { id, token } = z.object({ id: z.string(), token: z.string() }).parse(made);
  await s2.writeFile("/root/token", token, { mode: 0o600 });
  // Or the first power cut takes it along.
  await s2.run("sync -f /root/token");
  const identity = new Identity();
  for (const end of JOIN_ENDS) {
    if (end === JOIN_ENDS.at(-1)) await s2.run(`systemctl stop ${PUPPETSERVER}`);
    await cutShort(s2, JOIN, end);
    await identity.check(s2, `after ${String(end[0])}`);
    if (end === JOIN_ENDS[0]) continue;
    assert.equal(await exchange(s1, URL, token), "token.used");
    assert.equal(await stateOf(id), "in use");
  }
  await s2.run(JOIN, { withinMs: SETUP_MS_MAX });
  await identity.check(s2, "at the end");
  assert.equal(await stateOf(id), "used");
  for (const file of ["ca_crt.pem", "ca_key.pem"]) {
    const sum = `sha256sum < ${CADIR}/${file}`;
    assert.equal(await s2.run(sum), await s1.run(sum));
  }
  const { members } = await statusOf(s2);
  assert.deepEqual(
    members.map(({ member, local }) => [member.id, member.phase, local?.edge?.active]),
    [s1, s2].map(({ fqdn }) => [fqdn, "ready", true]),
  );
  await agentRuns(s2);
});

/** What may not change once it is there: cluster, member, CAs and this server's keys. */
class Identity {
  readonly #known = new Map<string, string>();

  async check(host: LabHost, when: string): Promise<void> {
    const node = await host.exec(["cat", NODE]);
    if (node.ok) {
      const { clusterId, id } = JSON.parse(node.stdout) as { clusterId: string; id: string };
      this.#same("cluster", clusterId, when);
      this.#same("member", id, when);
    }
    // A CA of ours is one once it has its certificate: nothing rests on a key that was all that a
    // killed init came to write.
    const own = `for key in ${PKI}/*/*.key; do case $key in */authorities/*) [ -e "\${key%.key}.crt" ] || continue; esac; echo "$key"; done`;
    const puppets = `${CADIR}/ca_crt.pem ${CADIR}/ca_key.pem /var/lib/puppet/ssl/private_keys/*.pem`;
    const sums = await host.run(`sha256sum ${puppets} $(${own}) 2>/dev/null; true`);
    for (const entry of sums
      .trim()
      .split("\n")
      .filter((text) => text !== "")) {
      const [sum = "", path = ""] = entry.split(/\s+/);
      this.#same(path, sum, when);
    }
  }

  #same(what: string, value: string, when: string): void {
    assert.equal(value, this.#known.get(what) ?? value, `${what} changed ${when}`);
    this.#known.set(what, value);
  }
}

async function stateOf(id: string): Promise<string | undefined> {
  const listed: unknown = JSON.parse(await s1.run("understudy token list --json"));
  const tokens = z.array(z.object({ id: z.string(), state: z.string() })).parse(listed);
  return tokens.find((token) => token.id === id)?.state;
}

/** A run of the server's own agent through its own edge. */
async function agentRuns(host: LabHost): Promise<void> {
  const { code, stdout, stderr } = await host.exec(`puppet agent -t --server ${host.fqdn} --noop`);
  assert.ok(code === 0 || code === 2, `${stdout}${stderr}`);
  assert.doesNotMatch(stdout + stderr, /Using cached catalog/i);
}
