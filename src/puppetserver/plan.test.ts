import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { parseStart } from "./observe.ts";
import {
  planPuppetserver,
  planRevert,
  type ObservedFile,
  type PuppetserverDesired,
  type PuppetserverObserved,
} from "./plan.ts";

const desired: PuppetserverDesired = {
  listener: {
    address: "0.0.0.0",
    port: 8141,
    cert: "/pki/cert.pem",
    key: "/pki/key.pem",
    caCert: "/pki/ca.pem",
    crl: "/pki/crl.pem",
  },
  sharedName: "puppet.lab.test",
};
const CA = "puppetlabs.services.ca.certificate-authority-service/certificate-authority-service\n";
const file = (path: string, text: string): ObservedFile => ({ path, text, original: undefined });
const stock: PuppetserverObserved = {
  webserver: file("/c/webserver.conf", "webserver: {\n    ssl-port: 8140\n}\n"),
  auth: file("/c/auth.conf", "authorization: {\n    version: 1\n}\n"),
  ca: file("/s/ca.cfg", CA),
  puppet: file("/p/puppet.conf", ""),
  elsewhere: [],
  editedMs: undefined,
  identityChangedMs: 500,
  startedMs: 1000,
  reloadedMs: undefined,
};

/** `observed` after the writes of a plan have been carried out. */
function after(observed: PuppetserverObserved): PuppetserverObserved {
  const next = structuredClone(observed);
  for (const action of planPuppetserver(desired, observed)) {
    if (action.do !== "write") continue;
    const target = [next.webserver, next.auth, next.ca, next.puppet].find(
      ({ path }) => path === action.path,
    );
    assert.ok(target !== undefined);
    target.original ??= target.text;
    target.text = action.text;
    next.editedMs = 2000;
  }
  return next;
}

test("planPuppetserver edits four files of a stock server, then restarts it", () => {
  const actions = planPuppetserver(desired, stock);
  assert.deepEqual(
    actions.map((action) => (action.do === "write" ? action.path : action.do)),
    ["/c/webserver.conf", "/c/auth.conf", "/s/ca.cfg", "/p/puppet.conf", "restart"],
  );
  assert.ok(actions.every((action) => action.because !== ""));
});

test("planPuppetserver goes on with the restart when it was interrupted before it", () => {
  const edited = after(stock);
  assert.deepEqual(planPuppetserver(desired, edited), [
    { do: "restart", because: "it was started before its configuration was changed" },
  ]);
  assert.deepEqual(planPuppetserver(desired, { ...edited, startedMs: 3000 }), []);
});

test("planPuppetserver leaves one that doesn't run as it is: it reads everything at its start", () => {
  assert.deepEqual(planPuppetserver(desired, { ...after(stock), startedMs: undefined }), []);
});

test("planPuppetserver reloads for another way to PuppetDB, once, also beside a certificate", () => {
  const edited = { ...after(stock), startedMs: 3000, terminusMs: 4000 };
  const because = "how it finds PuppetDB has changed";
  assert.deepEqual(planPuppetserver(desired, edited), [
    { do: "reload", identityMs: 4000, because },
  ]);
  assert.deepEqual(planPuppetserver(desired, { ...edited, reloadedMs: 4000 }), []);
  const both = planPuppetserver(desired, { ...edited, identityChangedMs: 5000 });
  assert.deepEqual(
    both.map((action) => action.do === "reload" && action.identityMs),
    [5000],
  );
});

test("planPuppetserver reloads for a new certificate, and does nothing for puppet.conf alone", () => {
  const edited = { ...after(stock), startedMs: 3000 };
  const renewed = { ...edited, identityChangedMs: 4000 };
  assert.deepEqual(planPuppetserver(desired, renewed), [
    { do: "reload", identityMs: 4000, because: "its listener has a newer certificate on disk" },
  ]);
  assert.deepEqual(planPuppetserver(desired, { ...renewed, reloadedMs: 5000 }), []);
  assert.deepEqual(planPuppetserver(desired, { ...renewed, startedMs: 5000, reloadedMs: 1 }), []);
  const renamed = planPuppetserver(desired, { ...edited, puppet: file("/p/puppet.conf", "") });
  assert.deepEqual(
    renamed.map((action) => action.do),
    ["write"],
  );
});

test("planPuppetserver refuses before it writes anything, whichever file is odd", () => {
  const odd: Partial<PuppetserverObserved>[] = [
    { puppet: file("/p/puppet.conf", "odd") },
    { ca: file("/s/ca.cfg", "odd") },
    { elsewhere: [{ path: "/c/own.conf", what: "include", line: 3 }] },
    { elsewhere: [{ path: "/c/own.conf", what: "webserver", line: 1 }] },
  ];
  for (const each of odd) {
    assert.throws(
      () => planPuppetserver(desired, { ...stock, ...each }),
      (error) => isFault(error, "puppetserver.config-unknown"),
    );
  }
});

test("planRevert puts back what was edited and knows our own text from others'", () => {
  const edited = after(stock);
  assert.deepEqual(planRevert(desired, stock), []);
  const actions = planRevert(desired, edited);
  assert.deepEqual(
    actions.map(({ path, ours }) => [path, ours]),
    [edited.webserver, edited.auth, edited.ca, edited.puppet].map(({ path, text }) => [path, text]),
  );
});

test("planPuppetserver turns the CA service on where stock's CA is, and restarts for it", () => {
  const edited = { ...after(stock), startedMs: 3000 };
  const here = planPuppetserver({ ...desired, stockCa: "here" }, edited);
  assert.deepEqual(
    here.map((action) => (action.do === "write" ? action.path : action.do)),
    ["/s/ca.cfg", "restart"],
  );
  assert.deepEqual(planPuppetserver({ ...desired, stockCa: "elsewhere" }, edited), []);
});

test("planRevert leaves the CA service as it is where stock's CA is now, or isn't", () => {
  const edited = after(stock);
  const paths = (stockCa: "here" | "elsewhere", observed = edited) =>
    planRevert({ ...desired, stockCa }, observed).map(({ path }) => path);
  assert.ok(paths("here").includes("/s/ca.cfg"));
  assert.ok(!paths("elsewhere").includes("/s/ca.cfg"));
  const joined = { ...edited, ca: { ...edited.ca, original: CA.replace("puppet", "#puppet") } };
  assert.ok(!paths("here", joined).includes("/s/ca.cfg"));
  assert.ok(paths("elsewhere", joined).includes("/s/ca.cfg"));
});

test("parseStart reads systemd's time, and nothing of a unit that doesn't run", () => {
  const text = "MainPID=12\nExecMainStartTimestamp=Fri 2026-11-20 12:44:31.711022 UTC\n";
  assert.equal(parseStart(text), Date.UTC(2026, 10, 20, 12, 44, 31, 711));
  assert.equal(parseStart(text.replace("=12", "=0")), undefined);
  assert.equal(parseStart("MainPID=12\nExecMainStartTimestamp=\n"), undefined);
});
