// Hazard: the server that holds the virtual IP, its edge, its link or its keepalived dies or stops.
// Real keepalived and HAProxy in network namespaces of this test alone. Needs root, for namespaces.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { tryRun } from "../../src/host/process.ts";
import { REFUSING, RELUCTANT, WILLING } from "../../src/vip/priority.ts";
import { ADDRESS, VipNetwork, type VipServer } from "../vip-network.ts";

const SECOND = "10.77.0.9";
const IPV6 = "fd77::10";
const WITHIN_MS = 20_000;

const network = new VipNetwork("uvip", ["n1", "n2", "n3"]);
const { servers } = network;
const holders = async () => network.holders();
const reached = async () => network.reached();
const soleHolder = async (what: string, not?: VipServer, address?: string) =>
  network.soleHolder(what, not, address);

before(async () => network.setUp());
after(async () => network.tearDown());

test("nobody takes the address before an edge answers, then one server does", async () => {
  for (const server of servers) await server.startKeepalived();
  // keepalived takes an address 0.4 s after its start when nothing holds it back; one run of the
  // watch takes 0.9 s.
  await new Promise((resolve) => {
    setTimeout(resolve, 3000);
  });
  assert.deepEqual(await holders(), []);
  for (const server of servers) await server.startEdge();
  const holder = await soleHolder("an address");
  assert.ok(await reached(), holder.namespace);
});

test("a server whose edge is killed loses the address, and gets it back only when it is free", async () => {
  const first = await soleHolder("a holder");
  first.signalEdge("SIGKILL");
  const second = await soleHolder("another holder", first);
  assert.ok(await reached());
  await first.startEdge();
  await until(
    "the first edge",
    async () =>
      (
        await tryRun([
          "ip",
          "netns",
          "exec",
          first.namespace,
          "curl",
          "-s",
          "http://127.0.0.1:8140/",
        ])
      ).ok,
    { withinMs: WITHIN_MS },
  );
  assert.equal(await soleHolder("the same holder"), second);
});

test("a server whose edge is stopped loses the address", async () => {
  const first = await soleHolder("a holder");
  first.signalEdge("SIGSTOP");
  await soleHolder("another holder", first);
  assert.ok(await reached());
  first.signalEdge("SIGCONT");
});

test("a server that is cut off is followed, and the split heals to one holder", async () => {
  const first = await soleHolder("a holder");
  await first.setLink("down");
  await until("another holder", async () => (await holders()).some((each) => each !== first), {
    withinMs: WITHIN_MS,
  });
  assert.ok(await reached());
  await first.setLink("up");
  await soleHolder("one holder after the split");
  assert.ok(await reached());
});

test("a server that refuses addresses gives them up at once and doesn't take them back unasked", async () => {
  const first = await soleHolder("a holder");
  await first.want(REFUSING);
  const second = await soleHolder("another holder", first);
  await first.want(WILLING);
  assert.equal(await soleHolder("the same holder"), second);
});

/** What the daemon of a drained server does: refuses until it is gone, then is the last in line. */
async function offer(drained: VipServer): Promise<VipServer> {
  const isGone = async () => !(await holders()).includes(drained);
  await drained.want(REFUSING);
  await until("the address is gone", isGone, { withinMs: WITHIN_MS, everyMs: 50 });
  await drained.want(RELUCTANT);
  return soleHolder("a holder again");
}

test("a drained server gives the address up once, and takes it again only when nobody else does", async () => {
  const drained = await soleHolder("a holder");
  const others = servers.filter((server) => server !== drained);
  assert.ok(others.includes(await offer(drained)));
  assert.ok(await reached());
  for (const server of others) server.signalEdge("SIGKILL");
  assert.equal(await soleHolder("the drained one, since nobody else is left", others[0]), drained);
  assert.ok(await reached());
  // Nobody is there to take it: it comes back.
  assert.equal(await offer(drained), drained);
  for (const server of others) await server.startEdge();
  assert.equal(await soleHolder("it keeps it until it is told"), drained);
  // keepalived there believes in its edge after a look or two.
  const taken = async () => others.includes(await offer(drained));
  await until("another holder", taken, { withinMs: WITHIN_MS });
  await drained.want(WILLING);
  assert.ok(await reached());
});

test("a keepalived that is killed leaves the address behind, and clears it when it is back", async () => {
  const first = await soleHolder("a holder");
  await first.killKeepalived();
  await until("another holder", async () => (await holders()).some((each) => each !== first), {
    withinMs: WITHIN_MS,
  });
  await first.startKeepalived();
  await soleHolder("one holder");
  assert.ok(await reached());
});

test("a server that is told to takes the address from a living one, and keeps it afterwards", async () => {
  const first = await soleHolder("a holder");
  // The last in line, so that its own priority has no part in it.
  const last = servers.findLast((each) => each !== first);
  assert.ok(last !== undefined);
  await last.configure([`${ADDRESS}/24`], ADDRESS);
  last.reloadKeepalived();
  assert.equal(await soleHolder("another holder", first), last);
  await last.configure([`${ADDRESS}/24`]);
  last.reloadKeepalived();
  assert.equal(await soleHolder("the same holder"), last);
  assert.ok(await reached());
});

test("an address is added by a reload while the first stays where it is, IPv6 too", async () => {
  const holder = await soleHolder("a holder");
  for (const server of servers) {
    await server.configure([`${ADDRESS}/24`, `${SECOND}/24`, `${IPV6}/64`]);
    server.reloadKeepalived();
    assert.equal(await soleHolder("the same holder"), holder);
  }
  assert.equal(await soleHolder("the second address", undefined, SECOND), holder);
  assert.equal(await soleHolder("the IPv6 address", undefined, IPV6), holder);
});

test("nobody keeps the address when no edge is left", async () => {
  for (const server of servers) server.signalEdge("SIGKILL");
  await until("no holder", async () => (await holders()).length === 0, { withinMs: WITHIN_MS });
});
