// A daemon's commands with nothing behind them, for tests of what asks for them: each answers with
// an example, and notes that it was called.

import { createLog } from "../../base/log.ts";
import { judge, local, three } from "../../cluster/testing/status.ts";
import { exampleReport } from "../../drill/testing/report.ts";
import { summarize } from "../../drill/report.ts";
import type { Roll } from "../../cluster/work.ts";
import type { CaOutcome } from "../../setup/contract.ts";
import { createEvents } from "../events.ts";
import type { LocalDeps } from "../local-app.ts";

const DAY = "2026-11-20T12:00:00.000Z";
const CRLS = {
  signed: false,
  crls: [{ issuer: "CN=CA", number: "7", thisUpdate: DAY, nextUpdate: DAY, entries: 3 }],
};
const REPORT = exampleReport();
const RECEIVER = { name: "foreman", url: "https://foreman.test/reports" };
const BACKENDS = {
  backends: [{ name: "puppetserver", address: "10.0.0.1", port: 8141, jrubies: 4, unfit: "" }],
};
const SHOWN = { members: [{ member: "s1", url: "", because: "" }] };
const PLAN = { id: "s3", lines: ["s3 is taken out."], refused: "" };
const REMOVED = { id: "s3", lines: ["done"], unconfirmed: [], copies: 2 };
const HOLDERS = [{ id: "s2", addresses: ["10.0.0.10"] }];
const ENDS = { from: "s1", to: "s2", already: false };
const MOVE_PLAN = {
  ...ENDS,
  moves: [{ address: "10.0.0.10", breaks: "" }],
  before: [{ id: "s1", addresses: ["10.0.0.10"] }],
  after: HOLDERS,
  lines: ["10.0.0.10 moves."],
  refused: "",
};
const MOVED = {
  ...ENDS,
  addresses: ["10.0.0.10"],
  holders: HOLDERS,
  connections: 3,
  tookMs: 40,
  limitS: 900,
};

function outcome(name: string): CaOutcome {
  return {
    results: [{ name, ok: true, because: "", serial: "001F" }],
    copies: 2,
    of: ["s1", "s2"],
  };
}

const CONFIG = { revision: 7, settings: judge(three()).settings, because: "" };
const CHANGES = [{ key: "voters", from: "3", to: "5" }];

/** The commands, and a line for each call of one that changes something. */
export function createTestCommands(): { commands: LocalDeps; calls: string[] } {
  const calls: string[] = [];
  const called = (...words: unknown[]) => calls.push(words.map(String).join(" "));
  const log = createLog(() => undefined);
  const cluster: LocalDeps["cluster"] = async () => judge(three());
  const history: LocalDeps["history"] = async () => ({ entries: [], more: 0, because: "" });
  const commands: LocalDeps = {
    log,
    events: createEvents({ cluster, history }),
    local: async () => local("s1"),
    cluster,
    createToken: async ({ role }) => ({
      id: "ab",
      role,
      token: "U1.x",
      url: "https://x",
      copies: 2,
    }),
    listTokens: async () => ({
      tokens: [{ id: "ab", role: "server", state: "unused", leftMs: 5, createdBy: "s1" }],
    }),
    revokeToken: async (id) => void called("revokeToken", id),
    signOwnCertificate: async () => ({ certificate: "c", bundle: "b", crl: "l" }),
    reissue: async (altNames) => ({ altNames }),
    finish: async () => void called("finish"),
    ca: caOf(called),
    planRemoval: async () => PLAN,
    remove: async () => REMOVED,
    planLeave: async () => PLAN,
    startLeaving: async () => void called("startLeaving"),
    leave: async () => REMOVED,
    makeRoom: async () => ({ voters: [{ id: "s1", beforeBytes: 2, afterBytes: 1 }] }),
    setVoters: async (voters) => ({ voters, voting: voters, because: "" }),
    backends: {
      list: async () => BACKENDS,
      add: async () => BACKENDS,
      remove: async () => BACKENDS,
    },
    eject: {
      plan: async () => ({ id: "s1", state: "ours", lines: [], refused: "" }),
      end: async () => ({ to: "s1", at: DAY, before: false, copies: 2 }),
      handOver: async () => ({ at: DAY, alone: false, serialNext: 9, crlNumber: 7 }),
    },
    puppetdb: {
      set: async () => ({ puppetdb: "fills" }),
      accept: async () => void called("accept"),
      sync: async () => ({ id: "1" }),
      diff: async () => ({ compared: ["s1"], missing: [], rows: [], total: 0 }),
      addReceiver: async (receiver) => [receiver],
      removeReceiver: async () => [RECEIVER],
      use: async (id) => void called("use", id),
      loadAnew: () => void called("loadAnew"),
    },
    switchover: {
      plan: async () => MOVE_PLAN,
      run: async () => MOVED,
      progress: () => ({ lines: ["s1 lets go"] }),
      stop: () => void called("stop"),
    },
    failover: {
      plan: async ({ address }) => ({ address, to: "s2", lines: [], refused: "" }),
      run: async ({ address }) => ({ address, to: "s2", tookMs: 400, holders: HOLDERS }),
    },
    history,
    why: async (about) => ({ about, verdict: "It is so.", evidence: [], todo: [], missing: [] }),
    incident: async ({ sinceMs = 0, untilMs = 0 }) => ({
      sinceMs,
      untilMs,
      answeredBy: "s1",
      members: [],
      missing: [],
      lines: [],
      more: 0,
      recordBecause: "",
    }),
    config: {
      show: async () => CONFIG,
      former: async () => ({ former: [] }),
      formerAt: async () => CONFIG,
      plan: async ({ revision }) => ({ revision, changes: CHANGES }),
      change: async ({ revision }) => {
        called("config.change");
        return { revision: revision + 1, changes: CHANGES };
      },
    },
    work: workOf(called),
    drills: drillsOf(called),
    alerts: alertsOf(called),
    hooks: {
      list: async () => ({ folder: "/etc/understudy/hooks.d", hooks: [] }),
      test: async () => ({ results: [] }),
    },
    access: {
      list: async () => ({ tokens: [] }),
      create: async ({ name, role }) => ({ name, role, expiresAt: DAY, token: "UA1.x", copies: 2 }),
      revoke: async (name) => ({ name, confirmed: ["s1"], missing: [] }),
      show: async () => SHOWN,
      listen: async (settings) => ({ ...SHOWN, settings }),
      off: async () => SHOWN,
    },
  };
  return { commands, calls };
}

function drillsOf(called: (...words: unknown[]) => void): LocalDeps["drills"] {
  const plan = { kind: "edge-kill" as const, server: "s2", driver: "s1", lines: [], refused: [] };
  const id = "0123456789ab";
  return {
    plan: async () => plan,
    begin: async ({ kind }, by) => {
      called("drill", kind, by);
      return { id, server: "s2" };
    },
    own: { progress: () => ({ running: false, lines: [] }), stop: () => undefined },
    progress: async () => ({ id, running: true, lines: ["it measures"] }),
    stop: async (by) => {
      called("drill stop", by);
    },
    reports: async () => ({ reports: [summarize(REPORT)], missing: [] }),
    report: async () => ({ report: REPORT }),
    probe: async () => {
      return {
        ok: true,
        because: "",
        status: 200,
        ms: 90,
        target: "10.0.0.10:8140",
        certname: "p",
      };
    },
  };
}

function workOf(called: (...words: unknown[]) => void): LocalDeps["work"] {
  const capacity = { now: 12, left: 8, busy: 0, waiting: 0 };
  const plan = { refused: "", risks: [] };
  const drain = { id: "s3", by: "ops", at: DAY, reason: "" };
  const roll: Roll = {
    key: "k",
    does: "restart",
    by: "ops",
    at: DAY,
    reason: "",
    ids: ["s1"],
    force: false,
    done: [],
    until: DAY,
    stop: false,
  };
  return {
    drains: {
      plan: async (id) => ({ ...plan, id, topology: [], steps: [], capacity }),
      drain: async ({ name }, by) => {
        called("drain", name, by);
        return { id: "s3", drain, handedOver: { ...MOVED, breaks: "" } };
      },
      undrain: async (name, by) => {
        called("undrain", name, by);
        return { id: "s3" };
      },
      progress: async (id) => {
        return { id, drained: true, requests: 0, addresses: [], left: [], silent: [] };
      },
    },
    roll: {
      plan: async () => ({ ...plan, ids: ["s1"], steps: [], busy: 0, waiting: 0 }),
      begin: async (_, by) => {
        called("roll", by);
        return { roll, already: false };
      },
      show: async () => ({ roll }),
      stop: async () => ({ roll }),
    },
    upgrade: {
      plan: async () => {
        return { ...plan, parts: ["haproxy"], steps: [], busy: 0, waiting: 0, notes: [] };
      },
      begin: async (_, by) => {
        called("upgrade", by);
        return { roll: { ...roll, does: "upgrade" }, already: false };
      },
    },
    pauses: {
      pause: async ({ scopes }, by) => {
        called("pause", ...scopes, by);
        return { pauses: [] };
      },
      resume: async () => ({ pauses: [] }),
    },
  };
}

function alertsOf(called: (...words: unknown[]) => void): LocalDeps["alerts"] {
  const shown = { channels: [], alerts: [], because: "" };
  return {
    show: async () => shown,
    add: async ({ name }) => {
      called("alerts.add", name);
      return shown;
    },
    remove: async (name) => {
      called("alerts.remove", name);
      return shown;
    },
    test: async () => ({ results: [{ channel: "ops", ok: true, because: "", tookMs: 4 }] }),
    failedRuns: async () => shown,
  };
}

function caOf(called: (...words: unknown[]) => void): NonNullable<LocalDeps["ca"]> {
  return {
    list: ({ limit }) => {
      called("list", limit);
      return { total: 0, entries: [] };
    },
    show: () => ({ certificates: [] }),
    crls: () => CRLS,
    refreshCrl: async () => ({ ...CRLS, signed: true }),
    generate: async () => ({ certname: "x.test", pem: "p", copies: 2, of: ["s1"] }),
    importCrls: async () => CRLS,
    verify: async () => ({
      certificates: 1,
      names: 1,
      requests: 0,
      revocations: 0,
      crlNumber: 7,
      fresh: true,
      findings: [],
      found: 0,
    }),
    sign: async (names) => {
      called("sign", ...names);
      return outcome(names[0] ?? "");
    },
    revoke: async (names) => {
      called("revoke", ...names);
      return outcome(names[0] ?? "");
    },
    clean: async (names) => {
      called("clean", ...names);
      return outcome(names[0] ?? "");
    },
  };
}
