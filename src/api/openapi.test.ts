// Holds the description of the API true: what it says is asked of a real app, and what the app has
// is in it.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { z } from "zod";
import { OFFERED } from "./people-app.ts";
import { EVENTS_TYPE } from "./route.ts";
import { METRICS_PATH, OPENAPI_PATH, pathOf, renderOpenApi } from "./openapi.ts";
import { ROUTES } from "./routes.ts";
import { SESSION_PATH } from "./session-routes.ts";
import { startTestPeople } from "./testing/people.ts";

type Schema = Parameters<typeof z.fromJSONSchema>[0];
interface Operation {
  summary: string;
  "x-understudy-role"?: "viewer" | "operator" | "admin";
  security?: unknown[];
  parameters?: { name: string; in: string; required: boolean; schema: Schema }[];
  requestBody?: { content: { "application/json": { schema: Schema } } };
  responses: Record<string, { content: Record<string, { schema: Schema }> }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
}

/** A good body for every operation that takes one. */
const BODIES: Record<string, unknown> = {
  "post /v1/ca/sign": { names: ["web.test"] },
  "post /v1/ca/revoke": { names: [], serials: ["1F"] },
  "post /v1/ca/clean": { names: ["web.test"] },
  "post /v1/voters": { voters: 3 },
  "post /v1/switchover": { address: "10.0.0.10", force: false, limitS: 900 },
  "post /v1/switchover/plan": { to: "s2.test", force: false, limitS: 900 },
  "post /v1/failover": { address: "10.0.0.10" },
  "post /v1/failover/plan": { address: "10.0.0.10" },
  "post /v1/config": { revision: 7, settings: { voters: 5 } },
  "post /v1/config/plan": { revision: 7, settings: { voters: 5 } },
  "post /v1/puppetdb/use": { id: "s1.test" },
  "post /v1/drains": { name: "s3" },
  "post /v1/drill": { kind: "edge-kill" },
  "post /v1/drill/plan": { kind: "server-isolate", server: "s2" },
  "post /v1/roll/plan": { names: [] },
  "post /v1/roll": { names: ["s1"] },
  "post /v1/upgrade/plan": { parts: ["haproxy"] },
  "post /v1/upgrade": { parts: [], names: ["s1"] },
  "post /v1/pauses": { scopes: ["chores"], reason: "why", until: "2026-11-20T12:00:00.000Z" },
  "post /v1/pauses/end": { scopes: [] },
  "post /v1/alerts/channels": { name: "ops", type: "json", url: "https://chat.test/x" },
  "post /v1/alerts/test": { channel: "ops" },
  "post /v1/alerts/failed-runs": { everyS: 3600 },
  "post /v1/report-receivers": { name: "foreman", url: "https://foreman.test/reports" },
};

let people: Awaited<ReturnType<typeof startTestPeople>>;
let document: Document;
before(async () => {
  people = await startTestPeople();
  const said = await people.ask("GET", OPENAPI_PATH, { token: people.tokens.viewer });
  document = JSON.parse(said.text) as Document;
});
after(async () => people.close());

function operations(): [string, string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => {
      return [method, path, operation];
    }),
  );
}

/** Throws where `value` isn't as a schema of the document says. */
function holds(schema: Schema, value: unknown, what: string): void {
  const read = z.fromJSONSchema(schema).safeParse(value);
  assert.ok(read.success, `${what}: ${JSON.stringify(read.error?.issues)}`);
}

test("every operation in the document answers as it is described", async () => {
  assert.equal(document.openapi, "3.1.0");
  for (const [method, path, operation] of operations()) {
    const what = `${method} ${path}`;
    people.clock.monotonicMs += 1000;
    const role = operation["x-understudy-role"];
    const body = BODIES[what];
    assert.equal(body !== undefined, operation.requestBody !== undefined, `${what}: body`);
    if (operation.requestBody !== undefined) {
      holds(operation.requestBody.content["application/json"].schema, body, `${what}: body`);
    }
    const named = (operation.parameters ?? []).filter((each) => each.in === "path");
    const place = named.reduce((so, { name }) => so.replace(`{${name}}`, "some.test"), path);
    assert.doesNotMatch(place, /[{}]/, what);
    // It would go on for ever: events.test.ts reads it.
    if (operation.responses["200"]?.content[EVENTS_TYPE] !== undefined) continue;
    const said = await people.ask(method.toUpperCase(), place, {
      ...(role === undefined ? {} : { token: people.tokens[role] }),
      ...(body === undefined ? {} : { body }),
    });
    const described = operation.responses[said.status];
    assert.ok(described !== undefined, `${what} answers ${said.status}: ${said.text}`);
    const [type, { schema }] = Object.entries(described.content)[0] ?? assert.fail(what);
    assert.ok(String(said.headers["content-type"]).startsWith(type), what);
    holds(schema, type === "text/plain" ? said.text : JSON.parse(said.text), what);
  }
});

test("every operation refuses as it is described: no token, and a role below its own", async () => {
  const below = { viewer: undefined, operator: "viewer", admin: "operator" } as const;
  for (const [index, [method, path, operation]] of operations().entries()) {
    // What is refused ends its connection, and nobody may open so many at once.
    const agent = people.from(`127.0.1.${index + 1}`);
    const what = `${method} ${path}`;
    people.clock.monotonicMs += 1000;
    const role = operation["x-understudy-role"];
    const place = path.replaceAll(/\{\w+\}/g, "some.test");
    const without = await people.ask(method.toUpperCase(), place, { agent, body: {} });
    if (role === undefined) {
      assert.deepEqual(operation.security, [], what);
      assert.notEqual(without.status, 401, what);
      continue;
    }
    assert.equal(without.status, 401, what);
    holds(
      operation.responses["default"]?.content["application/json"]?.schema ?? {},
      JSON.parse(without.text),
      what,
    );
    const lower = below[role];
    if (lower === undefined) continue;
    const said = await people.ask(method.toUpperCase(), place, {
      agent,
      token: people.tokens[lower],
      body: BODIES[what] ?? {},
    });
    assert.equal(said.status, 403, what);
  }
});

test("every query parameter in the document is taken, and one of another type refused", async () => {
  const token = people.tokens.viewer;
  for (const [method, path, { parameters = [] }] of operations()) {
    const place = path.replaceAll(/\{\w+\}/g, "some.test");
    for (const { name, in: where, schema } of parameters) {
      if (where !== "query") continue;
      people.clock.monotonicMs += 1000;
      const { type, enum: choices } = schema as { type?: string; enum?: string[] };
      const good = choices?.[0] ?? (type === "integer" ? "7" : "web*");
      const asked = async (value: string) =>
        people.ask(method.toUpperCase(), `${place}?${name}=${encodeURIComponent(value)}`, {
          token,
        });
      assert.equal((await asked(good)).status, 200, `${path} ${name}=${good}`);
      const bad = type === "string" && choices === undefined ? "x".repeat(5000) : "no-such-thing";
      assert.equal((await asked(bad)).status, 400, `${path} ${name}=${bad}`);
    }
  }
});

test("every route that is offered is in the document, and none of root's is", () => {
  const described = operations().map(([method, path]) => `${method} ${path}`);
  const routes = OFFERED.map((route) => `${route.method.toLowerCase()} ${pathOf(route)}`);
  const others = described.filter((each) => !routes.includes(each));
  assert.deepEqual(
    routes.filter((each) => !described.includes(each)),
    [],
  );
  const reads = [METRICS_PATH, OPENAPI_PATH].map((path) => `get ${path}`);
  const own = [...reads, ...["get", "post", "delete"].map((method) => `${method} ${SESSION_PATH}`)];
  assert.deepEqual(
    others.filter((each) => !each.startsWith("get /health/")),
    own,
  );
  const unique = new Set(ROUTES.map(({ method, path }) => `${method} ${path}`));
  assert.equal(unique.size, ROUTES.length, "a route is declared twice");
});

test("renderOpenApi tells what every route does, and reading never needs more than a viewer", () => {
  for (const { method, path, summary, offer } of ROUTES) {
    assert.match(summary, /^\S.*[^.]$/, path);
    if (method === "GET") assert.equal(offer, "viewer", path);
  }
  const text = JSON.stringify(renderOpenApi(ROUTES));
  assert.doesNotMatch(text, /secretHash/);
});
