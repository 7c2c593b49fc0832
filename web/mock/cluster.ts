// A cluster that isn't there: what the dashboard asks for and changes, kept in memory. Everything
// in front of it is real: listener, tokens, sessions, roles, events. So the page runs and is tried
// without a server, and what it does has consequences that it then sees.

import { Fault } from "../../src/base/fault.ts";
import { pause } from "../../src/base/retry.ts";
import type { HistoryEntry } from "../../src/cluster/history/entry.ts";
import type { Incident } from "../../src/cluster/history/incident.ts";
import type { LocalStatus, MemberAnswer } from "../../src/cluster/status.ts";
import { answer, edge, judge, local, row, silent } from "../../src/cluster/testing/status.ts";
import type { Drain } from "../../src/cluster/work.ts";
import { createEvents } from "../../src/api/events.ts";
import type { CaCommands, LocalDeps } from "../../src/api/local-app.ts";
import { createTestCommands } from "../../src/api/testing/commands.ts";
import type { CaList } from "../../src/setup/contract.ts";
import type { IncidentWish } from "../../src/setup/history-contract.ts";
import { createMockDrills, type MockDrills } from "./drills.ts";

const NAMES = ["s1.example.com", "s2.example.com", "s3.example.com"];
const CERTIFICATES = 240;
/** How soon it is seen that nothing hangs any more. */
const HANGS_MS = 20;
const FINGERPRINT =
  "AE:1F:5C:90:33:D2:7B:48:01:66:9E:F4:2A:C7:55:0D:8B:E1:39:74:B0:5F:22:9C:6D:18:A3:F7:40:CE:91:2B";

type Entry = CaList["entries"][number];

/** What can be changed from outside, to see how the page takes it. */
export interface MockState {
  entries: Entry[];
  history: HistoryEntry[];
  drains: Drain[];
  silent: Set<string>;
  warnings: string[];
  revision: number;
  /** Why nothing can be changed; empty: it can. */
  broken: string;
  /** Why nothing is known; empty: it is. */
  trouble: string;
  /** Whether asking takes for ever, and whether somebody is waiting for it. */
  hangs: boolean;
  hanging: boolean;
}

export interface MockCluster {
  commands: LocalDeps;
  state: MockState;
  drills: MockDrills;
  /** Tells something in the history. */
  tell: (kind: string, what: string, by?: string) => void;
}

export function createMockCluster(lookMs?: number): MockCluster {
  const state: MockState = {
    entries: certificates(),
    history: [],
    drains: [],
    silent: new Set(),
    warnings: [],
    revision: 7,
    broken: "",
    trouble: "",
    hangs: false,
    hanging: false,
  };
  const tell = (kind: string, what: string, by = "") => {
    const atMs = Date.now();
    const number = state.history.length + 1;
    const entry = { atMs, member: NAMES[0] ?? "", number, kind, what, because: "", by };
    state.history.push(entry);
  };
  const basis = createTestCommands().commands;
  const config = configOf(state, basis.config, tell);
  let looks = 0;
  const cluster: LocalDeps["cluster"] = async () => {
    looks += 1;
    while (state.hangs) {
      state.hanging = true;
      await pause(HANGS_MS);
    }
    state.hanging = false;
    if (state.trouble !== "") throw new Fault("cluster.no-view", state.trouble);
    const members = NAMES.map((id, index) => memberOf(state, id, index, looks));
    const { settings } = await config.show();
    const etcd = state.broken === "" ? {} : { quorum: false };
    const judged = judge(members, etcd, { drains: state.drains });
    return { ...judged, settings, answeredBy: NAMES[0] ?? "" };
  };
  const history: LocalDeps["history"] = async ({ kinds, limit, untilMs = Infinity }) => {
    const wanted = state.history.filter(
      ({ kind, atMs }) =>
        atMs <= untilMs && (kinds === undefined || kinds.split(",").includes(kind)),
    );
    const entries = wanted.slice(-limit);
    return { entries, more: wanted.length - entries.length, because: "" };
  };
  const drills = createMockDrills(basis.drills, tell);
  const commands: LocalDeps = {
    ...basis,
    drills: drills.commands,
    cluster,
    history,
    events: createEvents({ cluster, history, ...(lookMs === undefined ? {} : { lookMs }) }),
    ca: authorityOf(state, tell),
    config,
    work: { ...basis.work, drains: drainsOf(state, basis.work.drains, tell) },
    incident: async (wish) => incidentOf(state, wish),
  };
  return { commands, state, drills, tell };
}

function incidentOf(
  { history }: MockState,
  { sinceMs = 0, untilMs = Date.now(), limit }: IncidentWish,
): Incident {
  const lines = history
    .filter(({ atMs }) => atMs >= sinceMs && atMs <= untilMs)
    .map((entry) => ({ ...entry, alsoSeenBy: [], uncorrected: false }));
  return {
    sinceMs,
    untilMs,
    answeredBy: NAMES[0] ?? "",
    members: NAMES.map((member) => ({ member, offsetMs: 0, leftOut: 0 })),
    missing: [],
    recordBecause: "",
    lines: lines.slice(-limit),
    more: Math.max(0, lines.length - limit),
  };
}

/** A member as it answers: figures go up and down, by the number of the look alone. */
function memberOf(state: MockState, id: string, index: number, look: number): MemberAnswer {
  if (state.silent.has(id)) {
    const { member, because } = silent(id);
    return { member: { ...member, courier: true }, because };
  }
  const drained = state.drains.some((drain) => drain.id === id);
  const wave = (of: number) => (1 + Math.sin(look / 5 + of * 2)) / 2;
  const backends = NAMES.map((name, of) =>
    row(name, {
      ...(state.drains.some((drain) => drain.id === name) && { state: "drained" }),
      ...(index === 0 && {
        busy: Math.round(4 * wave(of)),
        queued: Math.max(0, Math.round(6 * wave(of)) - 4),
        perS: 2 + 9 * wave(of),
        responseMs: 700 + 900 * wave(of),
        total: look * 10,
      }),
    }),
  );
  const more: Partial<LocalStatus> = {
    addresses: index === 0 ? ["10.0.0.10"] : [],
    ...(drained && { drained }),
    edge: edge({ backends, connections: 40 + index }),
    courier: courierOf(id),
    warnings: index === 0 ? state.warnings : [],
  };
  const known = local(id, more);
  if (known.ca !== undefined) {
    known.ca.requests = state.entries.filter((each) => each.state === "requested").length;
    known.ca.certificates = state.entries.length;
  }
  return answer(id, known, { courier: true, address: `10.0.0.${index + 11}` });
}

function courierOf(id: string): NonNullable<LocalStatus["courier"]> {
  const others = NAMES.filter((name) => name !== id);
  return {
    runs: true,
    because: "",
    couriers: others.map((other) => ({ id: other, reachable: true })),
    singleCopies: 0,
    spoolBytes: 1_200_000,
    queries: NAMES[0],
    puppetdbs: NAMES.map((name) => ({
      id: name,
      fit: true,
      because: "",
      commands: 0,
      oldestMs: 0,
      deadLetters: 0,
    })),
    receivers: [],
  };
}

function certificates(): Entry[] {
  const signed = Array.from({ length: CERTIFICATES }, (_, n) => entryOf(`web${n}.example.com`, n));
  const waits = ["db7.example.com", "mail2.example.com"].map((name) => ({
    name,
    state: "requested" as const,
    fingerprint: FINGERPRINT,
    altNames: name.startsWith("mail") ? ["DNS:mail.example.com"] : [],
    extensions: {},
  }));
  return [...signed, ...waits];
}

function entryOf(name: string, n: number): Entry {
  return {
    name,
    state: "signed",
    serial: (n + 1).toString(16).toUpperCase().padStart(4, "0"),
    notAfter: "2031-11-20T12:00:00.000Z",
    fingerprint: FINGERPRINT,
    altNames: [],
    extensions: {},
  };
}

type Tell = MockCluster["tell"];

function requireRecord({ broken }: MockState): void {
  if (broken !== "") throw new Fault("etcd.no-quorum", broken, { hints: ["Agents are served."] });
}

function authorityOf(state: MockState, tell: Tell): CaCommands {
  const basis = createTestCommands().commands.ca;
  if (basis === undefined) throw new Error("the test's commands have no CA");
  const change = (names: readonly string[], to: "signed" | "revoked", from: Entry["state"]) => {
    requireRecord(state);
    const results = names.map((name) => {
      const found = state.entries.find((each) => each.name === name && each.state === from);
      if (found === undefined) return { name, ok: false, because: `${name} is not ${from}` };
      found.state = to;
      found.serial ??= "00FF";
      return { name, ok: true, because: "", serial: found.serial };
    });
    tell(to === "revoked" ? "revocation" : "command", `${to}: ${names.join(" ")}`, "somebody");
    return { results, copies: 2, of: NAMES };
  };
  return {
    ...basis,
    list({ state: wanted, pattern = "*", limit = 1000 }) {
      const found = state.entries.filter(
        (each) => (wanted === undefined || each.state === wanted) && isLike(each.name, pattern),
      );
      return { total: found.length, entries: found.slice(0, limit) };
    },
    show: (what) => ({
      certificates: state.entries
        .filter(({ name, serial }) => name === what && serial !== undefined)
        .map(({ name, serial = "", notAfter = "" }) => ({
          serial,
          certname: name,
          state: "signed" as const,
          notBefore: "2026-11-20T12:00:00.000Z",
          notAfter,
          signedBy: NAMES[0] ?? "",
          signedAt: "2026-11-20T12:00:00.000Z",
          altNames: [],
          authorizationExtensions: {},
          fingerprint: FINGERPRINT,
        })),
    }),
    sign: async (names) => change(names, "signed", "requested"),
    revoke: async (names) => ({
      ...change(names, "revoked", "signed"),
      edges: { confirmed: NAMES.filter((id) => !state.silent.has(id)), missing: missingOf(state) },
    }),
  };
}

function missingOf(state: MockState) {
  return [...state.silent].map((member) => ({ member, because: "no answer in time" }));
}

function isLike(name: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.?+^$()[\]{}|\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(name);
}

function configOf(state: MockState, basis: LocalDeps["config"], tell: Tell): LocalDeps["config"] {
  let settings: Record<string, unknown> = { ...judge([]).settings };
  const changesOf = (wish: Record<string, unknown>) =>
    Object.entries(wish)
      .map(([key, value]) => ({
        key,
        from: JSON.stringify(settings[key]) ?? "",
        to: JSON.stringify(value) ?? "",
      }))
      .filter(({ from, to }) => from !== to);
  const judgeWish = ({ revision, settings: wish }: { revision: number; settings: object }) => {
    requireRecord(state);
    if (revision !== state.revision) {
      throw new Fault("config.changed", "somebody else has changed the settings meanwhile");
    }
    return changesOf(wish as Record<string, unknown>);
  };
  return {
    ...basis,
    show: async () => {
      const shown = await basis.show();
      const now = { settings: settings as typeof shown.settings, because: state.broken };
      return { ...shown, ...now, revision: state.broken === "" ? state.revision : 0 };
    },
    plan: async (wish) => ({ revision: state.revision, changes: judgeWish(wish) }),
    change: async (wish) => {
      const changes = judgeWish(wish);
      settings = { ...settings, ...wish.settings };
      state.revision += 1;
      tell("setting", `settings changed: ${changes.map(({ key }) => key).join(" ")}`);
      return { revision: state.revision, changes };
    },
  };
}

function drainsOf(
  state: MockState,
  basis: LocalDeps["work"]["drains"],
  tell: Tell,
): LocalDeps["work"]["drains"] {
  return {
    ...basis,
    plan: async (id) => ({
      ...(await basis.plan(id)),
      steps: [{ what: `${id} gets nothing new`, because: "it is drained" }],
      risks: [],
    }),
    async drain({ name, reason }, by) {
      requireRecord(state);
      const drain = { id: name, by, at: new Date().toISOString(), reason };
      state.drains.push(drain);
      tell("work", `${name} is drained`, by);
      return { id: name, drain };
    },
    async undrain(name, by) {
      state.drains = state.drains.filter(({ id }) => id !== name);
      tell("work", `${name} is undrained`, by);
      return { id: name };
    },
  };
}
