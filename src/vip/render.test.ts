import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { tryRun } from "../host/process.ts";
import { toolEnv, toolPath } from "../../scripts/tools.ts";
import { planRouterIds, priorityOf, renderKeepalived, type VipConfig } from "./render.ts";

const device = Object.keys(networkInterfaces()).find((name) => name !== "lo") ?? "eth0";
const CONFIG: VipConfig = {
  memberId: "s1.lab.test",
  addresses: [{ address: "10.88.0.10/24", interface: device }],
  self: "10.88.0.11",
  peers: ["10.88.0.13", "10.88.0.12"],
  routerIdSeed: "8a6e0804-2bd0-4672-b79d-d97027f9071a",
  priorityFile: "/var/lib/understudy/vip/priority",
  edgeWatch: "/bin/true",
  edgeSocket: "/run/understudy/edge-stats.sock",
};
const addresses = (...list: string[]) => list.map((address) => ({ address, interface: device }));

/**
 * What keepalived has against `text`. Without root it also distrusts every script, which is no
 * fault of ours.
 */
async function complaints(text: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), "understudy-vip-"));
  try {
    const path = join(folder, "keepalived.conf");
    await writeFile(path, text);
    const argv = [toolPath("keepalived"), "--config-test", "--use-file", path];
    const { stdout, stderr } = await tryRun(argv, { env: toolEnv() });
    const lines = `${stdout}\n${stderr}`.split("\n").filter((line) => line.trim() !== "");
    return lines.filter((line) => !/insecure|interface .* doesn't exist|Non-existent/.test(line));
  } finally {
    await rm(folder, { recursive: true });
  }
}

const ACCEPTED: [string, VipConfig][] = [
  ["three servers", CONFIG],
  ["a server that is alone", { ...CONFIG, peers: [] }],
  [
    "several addresses and subnets",
    { ...CONFIG, addresses: addresses("10.88.0.10/24", "10.88.0.9/24", "10.99.0.10/24") },
  ],
  ["both families", { ...CONFIG, addresses: addresses("fd88::10/64", "10.88.0.10/24") }],
  [
    "servers with IPv6",
    { ...CONFIG, self: "fd88::11", peers: ["fd88::12"], addresses: addresses("fd88::10/64") },
  ],
  ["an address that it takes", { ...CONFIG, take: "10.88.0.10" }],
  ["peers that are routed", { ...CONFIG, peers: ["10.89.0.12"], advertMs: 250 }],
];
for (const [what, config] of ACCEPTED) {
  test(`renderKeepalived for ${what} is accepted by keepalived`, async () => {
    assert.deepEqual(await complaints(renderKeepalived(config)), []);
  });
}

test("complaints shows that keepalived's check finds a wrong word", async () => {
  const text = renderKeepalived(CONFIG).replace("nopreempt", "no_such_word");
  assert.match((await complaints(text)).join("\n"), /no_such_word/);
});

test("renderKeepalived puts only the first address of a subnet into adverts", () => {
  const text = renderKeepalived({
    ...CONFIG,
    addresses: addresses("10.88.0.10/24", "10.88.0.9/24"),
  });
  assert.equal(text.match(/vrrp_instance/g)?.length, 1);
  assert.match(text, /virtual_ipaddress \{\n\s+10\.88\.0\.10\/24 dev \S+\n\s+\}/);
  assert.match(text, /virtual_ipaddress_excluded \{\n\s+10\.88\.0\.9\/24 dev \S+\n\s+\}/);
});

test("renderKeepalived believes only members of the same subnet, with an unrouted packet", () => {
  const near = renderKeepalived(CONFIG);
  assert.match(near, /check_unicast_src/);
  assert.match(near, /10\.88\.0\.12 min_ttl 255 max_ttl 255\n\s+10\.88\.0\.13 min_ttl/);
  assert.doesNotMatch(renderKeepalived({ ...CONFIG, peers: ["10.89.0.12"] }), /min_ttl/);
});

const REFUSED: [string, Partial<VipConfig>, string][] = [
  ["an address without prefix", { addresses: addresses("10.88.0.10") }, "host.address"],
  ["an odd interface", { addresses: [{ address: "10.0.0.1/24", interface: "a b" }] }, "vip.config"],
  [
    "an IPv6 address alone among IPv4 servers",
    { addresses: addresses("fd88::10/64") },
    "vip.config",
  ],
  ["servers of both families", { peers: ["fd88::12"] }, "vip.config"],
  ["an odd path", { edgeSocket: '/run/a"b' }, "vip.config"],
  ["adverts that VRRP can't express", { advertMs: 15 }, "vip.config"],
  ["an impossible router id", { routerIds: { "10.88.0.10": 256 } }, "vip.config"],
];
for (const [what, change, code] of REFUSED) {
  test(`renderKeepalived refuses ${what}`, () => {
    assert.throws(
      () => renderKeepalived({ ...CONFIG, ...change }),
      (error) => isFault(error, code),
    );
  });
}

test("planRouterIds is the same on every member, differs by subnet, and can be set", () => {
  const two = addresses("10.88.0.10/24", "10.99.0.10/24");
  const here = planRouterIds({ ...CONFIG, addresses: two });
  const there = planRouterIds({
    ...CONFIG,
    memberId: "s2",
    self: "10.88.0.12",
    addresses: two.map((each) => ({ ...each, interface: "ens3" })),
  });
  assert.deepEqual(here, there);
  assert.notEqual(here["10.88.0.10"], here["10.99.0.10"]);
  const set = planRouterIds({ ...CONFIG, routerIds: { "10.88.0.10": 7 } });
  assert.deepEqual(set, { "10.88.0.10": 7 });
});

test("planRouterIds never gives two subnets of a cluster the same id", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.integer({ min: 1, max: 16 }), (routerIdSeed, count) => {
      const list = Array.from({ length: count }, (_, index) => `10.${index}.0.10/24`);
      const ids = Object.values(
        planRouterIds({ ...CONFIG, routerIdSeed, addresses: addresses(...list) }),
      );
      assert.equal(new Set(ids).size, count);
      assert.ok(ids.every((id) => id >= 1 && id <= 255));
    }),
  );
});

test("a server that isn't on one of the subnets has the others' router ids all the same", () => {
  const idOf = (address: string) =>
    Object.values(planRouterIds({ ...CONFIG, addresses: addresses(address) }))[0];
  const first = "10.88.0.10/24";
  const second = Array.from({ length: 4096 }, (_, at) => `10.${at >> 8}.${at & 255}.10/24`).find(
    (address) => address !== first && idOf(address) === idOf(first),
  );
  assert.ok(second !== undefined);
  const wanted = [first, second];
  const key = second.replace("/24", "");
  const everywhere = planRouterIds({ ...CONFIG, addresses: addresses(...wanted) })[key];
  assert.notEqual(everywhere, idOf(second), "it gives way to the first");
  const text = renderKeepalived({ ...CONFIG, addresses: addresses(second), wanted });
  assert.match(text, new RegExp(`virtual_router_id ${everywhere}$`, "m"));
  assert.doesNotMatch(text, /10\.88\.0\.10\//);
});

test("priorityOf gives all members different priorities, whoever computes them", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 9 }), (members) => {
      const all = members.map((self) =>
        priorityOf(
          self,
          members.filter((each) => each !== self),
        ),
      );
      const shuffled = members.map((self) => priorityOf(self, [...members].reverse()));
      assert.equal(new Set(all).size, members.length);
      assert.deepEqual(all, shuffled);
      assert.ok(all.every((priority) => priority >= 1 && priority <= 200));
    }),
  );
});

test("renderKeepalived takes an address from a living holder only on that address's subnet", () => {
  const two = { ...CONFIG, addresses: addresses("10.88.0.10/24", "10.99.0.10/24") };
  const [first, second] = renderKeepalived({ ...two, take: "10.99.0.10" })
    .split("vrrp_instance ")
    .slice(1);
  assert.match(first ?? "", /nopreempt/);
  assert.doesNotMatch(second ?? "", /nopreempt/);
  assert.match(second ?? "", /priority 254/);
});
