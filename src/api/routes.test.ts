// The commands' socket: everything is offered there, and what changes something is audited.

import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { until } from "../base/retry.ts";
import { ACTOR_HEADER } from "../setup/actor.ts";
import type { AuditEntry } from "./audit.ts";
import { createLocalApp } from "./local-app.ts";
import { ROUTES } from "./routes.ts";
import { type Listener, listenOnSocket } from "./serve.ts";
import { createTestCommands } from "./testing/commands.ts";
import { tellDeed } from "./told.ts";

const { commands, calls } = createTestCommands();
const entries: AuditEntry[] = [];
let folder = "";
let socketPath = "";
let listener: Listener | undefined;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "understudy-local-"));
  socketPath = join(folder, "api.sock");
  const app = createLocalApp(commands, { note: (entry) => entries.push(entry) });
  listener = await listenOnSocket(app, socketPath, { mode: 0o600 });
});
after(async () => {
  await listener?.close();
  await rm(folder, { recursive: true });
});

async function ask(method: string, path: string, body?: unknown, actor = "") {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const headers = { "content-type": "application/json", [ACTOR_HEADER]: actor };
    const outgoing = request({ socketPath, method, path, headers }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** A body that satisfies every route that takes one. */
const BODY = {
  role: "viewer",
  kind: "edge-kill",
  validMs: 60_000,
  id: "s1.test",
  request: "pem",
  altNames: [],
  voters: 3,
  names: ["web.test"],
  pem: "pem",
  name: "second",
  port: 8151,
  courier: true,
  puppetdb: true,
  url: "https://foreman.test/",
  address: "10.0.0.10",
  revision: 7,
  settings: { voters: 5 },
  scopes: ["chores"],
  reason: "why",
  until: "2026-11-20T12:00:00.000Z",
  type: "json",
  event: "member-down",
};

test("the commands' socket is root's, and answers for every route as it is declared", async () => {
  assert.equal((await stat(socketPath)).mode & 0o777, 0o600);
  for (const route of ROUTES) {
    // It would go on for ever: events.test.ts reads it.
    if (route.open !== undefined) continue;
    const body = route.path === "/v1/tokens" ? { ...BODY, role: "server" } : BODY;
    const said = await ask(
      route.method,
      route.path.replace(/:\w+/, "some.test"),
      route.body === undefined ? undefined : body,
    );
    assert.equal(said.status, 200, `${route.method} ${route.path}: ${said.text}`);
    route.answer.parse(JSON.parse(said.text));
  }
  assert.ok(calls.includes("sign web.test"));
});

test("the commands' socket has what changes something audited, as root's", async () => {
  entries.length = 0;
  await ask("GET", "/v1/local");
  await ask("DELETE", "/v1/tokens/ab%20cd", undefined, "alice");
  assert.equal((await ask("POST", "/v1/ca/sign", { names: 7 })).status, 400);
  await ask("POST", "/v1/config", { revision: 7, settings: {} });
  const root = { role: "root", from: "socket" };
  assert.deepEqual(
    entries.map(({ tookMs: _tookMs, ...rest }) => rest),
    [
      {
        ...root,
        who: "root (alice)",
        what: "DELETE /v1/tokens/:id",
        about: "ab cd",
        outcome: "done",
        code: "",
      },
      {
        ...root,
        who: "root",
        what: "POST /v1/ca/sign",
        about: "",
        outcome: "failed",
        code: "api.malformed",
      },
      {
        ...root,
        who: "root",
        what: "POST /v1/config",
        about: "voters",
        outcome: "done",
        code: "",
      },
    ],
  );
});

test("of addresses that move the history has from where, to where, and what became of agents", async () => {
  entries.length = 0;
  await ask("POST", "/v1/switchover", {});
  await ask("POST", "/v1/failover", { address: "10.0.0.10" });
  await ask("POST", "/v1/drains", { name: "s1" });
  assert.deepEqual(
    entries.map((entry) => tellDeed(entry)?.what),
    [
      "moved virtual IPs: 10.0.0.10 from s1 to s2 in 40 ms, 3 open connections go on",
      "took the virtual IP 10.0.0.10 to s2 in 400 ms, open connections broke",
      "drained s3: 10.0.0.10 to s2, 3 open connections go on",
    ],
  );
});

test("the commands' socket has the stream of events, for as long as it is read", async () => {
  const seen = await new Promise<string>((resolve, reject) => {
    const outgoing = request({ socketPath, path: "/v1/events" }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (!text.includes("event: snapshot\n")) return;
        outgoing.destroy();
        resolve(text);
      });
      incoming.on("error", () => undefined);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
  assert.match(seen, /^retry: \d+\n\n/);
  await until("it is let go of", () => commands.events.size() === 0, { withinMs: 10_000 });
});

test("what asks every member for its history is one at a time over the network", () => {
  const single = ROUTES.filter((route) => route.single === true).map(({ path }) => path);
  assert.deepEqual(single, ["/v1/why", "/v1/incident"]);
});
