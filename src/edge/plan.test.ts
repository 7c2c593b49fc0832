// What is done for which difference between the wanted edge and the running one.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import type { EdgeConfig } from "./config.ts";
import type { EdgeServer, EdgeState } from "./observe.ts";
import { serverOf } from "./observe.ts";
import { planEdge } from "./plan.ts";
import { renderEdge } from "./render.ts";

const backend = (name: string, jrubies = 4, lastResort = false) => ({
  name,
  host: `${name}.test`,
  address: "192.0.2.1",
  port: 8141,
  jrubies,
  lastResort,
});

const CONFIG: EdgeConfig = {
  memberId: "m1",
  bind: [{ address: "0.0.0.0", port: 8140 }],
  acceptProxyFrom: [],
  certificateFile: "/c.pem",
  puppetCaFile: "/ca.pem",
  issuers: ["CN=ca"],
  edgeClientPem: "/e.pem",
  edgeCaFile: "/eca.pem",
  backends: [backend("p1"), backend("p2")],
  authorities: [],
  caSocket: "/run/ca.sock",
  filesSocket: "/run/files.sock",
  memoryMiB: 1024,
  stateDir: "/state",
  runDir: "/run",
};

/** An edge that runs exactly as `config` says. */
function settled(config: EdgeConfig): EdgeState {
  const files = renderEdge(config);
  const server = (each: EdgeConfig["backends"][number]): EdgeServer => ({
    name: each.name,
    state: "up",
    because: "",
    sinceS: 1,
    queued: 0,
    total: 0,
    responseMs: 0,
    busy: 0,
    maxconn: each.jrubies,
  });
  return {
    running: true,
    structure: files.structure,
    workers: [{ pid: 1, former: false }],
    servers: config.backends.map(server),
    waiting: 0,
    connections: 0,
    replays: 0,
    authority: true,
    poisonous: [],
    files: { haproxyCfg: files.haproxyCfg, waitLua: files.waitLua },
  };
}

const what = (config: EdgeConfig, state: EdgeState) =>
  planEdge(config, state).map((action) => action.do);

describe("planEdge", () => {
  test("planEdge does nothing where all is as wanted", () => {
    assert.deepEqual(planEdge(CONFIG, settled(CONFIG)), []);
  });

  test("planEdge writes only, where HAProxy doesn't run", () => {
    const state = { ...settled(CONFIG), running: false, structure: undefined, servers: [] };
    assert.deepEqual(what(CONFIG, state), []);
    const empty = { ...state, files: { haproxyCfg: undefined, waitLua: undefined } };
    assert.deepEqual(what(CONFIG, empty), ["write"]);
  });

  test("planEdge spares a reload for JRubies, but writes the file first", () => {
    const backends = [backend("p1", 6), backend("p2")];
    assert.deepEqual(planEdge({ ...CONFIG, backends }, settled(CONFIG)), [
      { do: "write", because: "it has changed" },
      {
        do: "set-maxconn",
        server: "p1",
        maxconn: 6,
        because: "p1 has 6 JRubies, HAProxy believes 4",
      },
    ]);
  });

  test("planEdge goes on where it was interrupted after the file was written", () => {
    const wanted = { ...CONFIG, backends: [backend("p1", 6), backend("p2")] };
    const state = { ...settled(CONFIG), files: settled(wanted).files };
    assert.deepEqual(what(wanted, state), ["set-maxconn"]);
    const more = { ...CONFIG, backends: [...CONFIG.backends, backend("p3")] };
    assert.deepEqual(what(more, { ...settled(CONFIG), files: settled(more).files }), ["reload"]);
  });

  const RELOADS: [string, Partial<EdgeConfig>][] = [
    ["a new puppetserver", { backends: [...CONFIG.backends, backend("p3")] }],
    ["a puppetserver that is unfit", { backends: [backend("p1"), backend("p2", 4, true)] }],
    ["a puppetserver less", { backends: [backend("p1")] }],
    ["another address", { bind: [{ address: "::", port: 8140 }] }],
    ["another issuer", { issuers: ["CN=other"] }],
    ["a renewed certificate", { inputsDigest: "0123" }],
    ["another authority", { authorities: [{ ...backend("a1"), port: 8142 }] }],
    ["balancers", { acceptProxyFrom: ["192.0.2.9"] }],
    ["more memory", { memoryMiB: 2048 }],
  ];
  for (const [name, change] of RELOADS) {
    test(`planEdge reloads for ${name}`, () => {
      assert.equal(what({ ...CONFIG, ...change }, settled(CONFIG)).at(-1), "reload");
    });
  }

  test("planEdge reloads at most once, and what it lists settles any change of puppetservers", () => {
    const one = fc.record({
      name: fc.constantFrom("p1", "p2", "p3"),
      jrubies: fc.integer({ min: 1, max: 32 }),
      lastResort: fc.boolean(),
    });
    const list = fc.uniqueArray(one, { selector: ({ name }) => name }).map((some) => ({
      ...CONFIG,
      backends: some.map(({ name, jrubies, lastResort }) => backend(name, jrubies, lastResort)),
    }));
    fc.assert(
      fc.property(list, list, (before, wanted) => {
        const state = settled(before);
        const actions = planEdge(wanted, state);
        const reloads = actions.some((action) => action.do === "reload");
        const fixed = ({ backends }: EdgeConfig) =>
          backends.map(({ name, lastResort }) => `${name} ${lastResort}`).join();
        assert.equal(reloads, fixed(before) !== fixed(wanted));
        const after = reloads ? settled(wanted) : { ...state, files: settled(wanted).files };
        for (const action of actions) {
          const server = after.servers.find(
            (each) => "server" in action && each.name === action.server,
          );
          if (action.do === "set-maxconn" && server) server.maxconn = action.maxconn;
        }
        assert.deepEqual(planEdge(wanted, after), []);
      }),
    );
  });
});

const STATES: [string, string, boolean, EdgeServer["state"]][] = [
  ["UP", "L7OK", false, "up"],
  ["UP 2/3", "L6TOUT", false, "up"],
  ["UP", "L7OK", true, "drained"],
  ["DRAIN", "L7OK", false, "drained"],
  ["MAINT", "", false, "drained"],
  ["DOWN", "L4CON", false, "down"],
  ["DOWN 1/2", "L7STS", false, "starting"],
  ["DOWN", "L6TOUT", false, "silent"],
  ["DOWN", "L7TOUT", true, "silent"],
  ["no check", "", false, "unknown"],
];
for (const [status, check, lastResort, state] of STATES) {
  test(`serverOf calls ${status} after ${check || "no check"} ${lastResort ? "as last resort " : ""}${state}`, () => {
    const row = {
      proxy: "compilers",
      server: "p1",
      status,
      check,
      checkCode: undefined,
      sessions: 2,
      queued: 0,
      maxconn: 4,
      lastResort,
      sinceS: 3,
      redispatched: 0,
      total: 0,
      responseMs: 0,
    };
    const server = serverOf(row);
    assert.equal(server.state, state);
    assert.equal(server.busy, 2);
  });
}
