import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterStatus, LocalStatus } from "../../src/cluster/status.ts";
import { listMissing } from "./whole.ts";

const SERVERS = ["s1.lab.test", "s2.lab.test", "s3.lab.test"];
const WHOLE = { servers: SERVERS, vips: ["10.88.0.10"] };

function local(id: string, changes: Partial<LocalStatus> = {}): LocalStatus {
  return {
    id,
    role: "server",
    version: "0.1.0",
    phase: "ready",
    wallMs: 0,
    record: { reachable: true, because: "", ageMs: 0 },
    etcd: { runs: "voter", hasLeader: true, alarms: [], dbSizeBytes: 0, because: "" },
    addresses: id === "s1.lab.test" ? ["10.88.0.10"] : [],
    edge: {
      active: true,
      because: "",
      confirmedCrl: 0,
      replays: 0,
      waiting: 0,
      poisonous: [],
      backends: ups(),
    },
    ca: {
      serving: true,
      because: "",
      requests: 0,
      certificates: 3,
      crlNumber: 0,
      crlNextUpdate: "",
      directoryBehind: "",
      unreadable: [],
      unknownFiles: [],
    },
    expiries: [],
    warnings: [],
    ...changes,
  };
}

function ups() {
  return SERVERS.map((member) => ({
    member,
    name: member,
    state: "up" as const,
    jrubies: 1,
    busy: 0,
    queued: 0,
    total: 0,
    perS: 0,
    responseMs: 0,
    because: "",
  }));
}

function status(locals: Record<string, LocalStatus | undefined>): ClusterStatus {
  const members = Object.entries(locals).map(([id, local]) => ({
    member: {
      id,
      role: "server" as const,
      address: "10.88.0.11",
      phase: "ready" as const,
      mayVote: true,
      backends: [],
      version: "0.1.0",
      joinedAt: "",
    },
    local,
    because: local === undefined ? "connection refused" : "",
  }));
  return {
    answeredBy: "s1.lab.test",
    meta: { format: 1, clusterId: "", generation: 1, createdAt: "" },
    settings: {
      sharedName: "puppet.lab.test",
      otherNames: [],
      virtualIps: [],
      acceptProxyFrom: [],
      isolatedEdge: "serve",
      voters: 3,
    },
    members,
    etcd: {
      voters: 3,
      answering: 3,
      silent: [],
      quorum: true,
      viewAgeMs: 0,
      viewAgeIsMost: false,
    },
    work: { drains: [] },
    notes: [],
    toleratedFailures: 1,
    verdict: "",
    warnings: [],
    problems: [],
  };
}

function all(changes: Partial<LocalStatus> = {}) {
  const [s1 = "", s2 = "", s3 = ""] = SERVERS;
  return { [s1]: local(s1), [s2]: local(s2, changes), [s3]: local(s3) };
}

test("listMissing finds nothing in a cluster where everybody is in every list", () => {
  assert.deepEqual(listMissing(status(all()), WHOLE), []);
});

test("listMissing names what each server lacks", () => {
  const cases: [Partial<LocalStatus>, RegExp][] = [
    [{ phase: "setup" }, /s2\.lab\.test: is not ready/],
    [{ record: { reachable: false, because: "no route", ageMs: 9 } }, /can't reach the record/],
    [{ edge: undefined }, /edge is down/],
    [{ ca: undefined }, /CA doesn't serve/],
    [{ addresses: ["10.88.0.10"] }, /10\.88\.0\.10 is held by 2 servers/],
    [
      {
        edge: {
          active: true,
          because: "",
          confirmedCrl: 0,
          replays: 0,
          waiting: 0,
          poisonous: [],
          backends: [],
        },
      },
      /edge knows no puppetserver of s1/,
    ],
  ];
  for (const [changes, expected] of cases) {
    assert.match(listMissing(status(all(changes)), WHOLE).join("\n"), expected);
  }
});

test("listMissing names servers that don't answer, aren't members, and votes that are missing", () => {
  const silent = status({ ...all(), "s2.lab.test": undefined });
  assert.match(listMissing(silent, WHOLE).join("\n"), /doesn't answer \(connection refused\)/);
  const more = { ...WHOLE, servers: [...SERVERS, "s4.lab.test"] };
  assert.match(listMissing(status(all()), more).join("\n"), /s4\.lab\.test: is no member/);
  const whole = status(all());
  const lonely = { ...whole, etcd: { ...whole.etcd, voters: 1, answering: 1 } };
  assert.match(listMissing(lonely, WHOLE).join("\n"), /1 of 3 voters/);
});
