import assert from "node:assert/strict";
import { test } from "node:test";
import { renderHaproxy, renderKeepalived, renderPuppetConf } from "./config.ts";
import { countUp } from "./open.ts";

const S1 = { name: "s1", fqdn: "s1.lab.test", address: "10.88.0.11" };
const S2 = { name: "s2", fqdn: "s2.lab.test", address: "10.88.0.12" };

test("renderKeepalived keeps keepalived's defaults: version 2, one advert a second", () => {
  const text = renderKeepalived(S2, 100);
  assert.match(text, /router_id s2/);
  assert.match(text, /priority 100/);
  assert.match(text, /advert_int 1\n/);
  assert.doesNotMatch(text, /vrrp_version/);
});

test("renderHaproxy passes TCP on to both puppetservers, with checks", () => {
  const text = renderHaproxy([S1, S2]);
  assert.match(text, /mode {4}tcp/);
  assert.match(text, /server s1 10\.88\.0\.11:8141 check\n {4}server s2 10\.88\.0\.12:8141 check/);
});

test("renderPuppetConf sends every server to the one CA", () => {
  assert.match(renderPuppetConf(S2, S1), /certname = s2\.lab\.test[^]*ca_server = s1\.lab\.test/);
});

test("countUp counts servers of the backend that are up, not the backend itself", () => {
  const line = (name: string, status: string) =>
    `puppetservers,${name}${",0".repeat(15)},${status},1`;
  const csv = [line("s1", "UP"), line("s2", "DOWN"), line("BACKEND", "UP"), "puppet,FRONTEND"];
  assert.equal(countUp(csv.join("\n")), 1);
  assert.equal(countUp([...csv, line("s3", "UP 1/2")].join("\n")), 2);
});
