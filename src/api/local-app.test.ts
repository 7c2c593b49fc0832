import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { ACTOR_HEADER } from "../setup/actor.ts";
import { createLocalApp, type LocalDeps } from "./local-app.ts";
import type { AuditEntry } from "./audit.ts";

function setUp() {
  const deeds: AuditEntry[] = [];
  const deps: Partial<LocalDeps> = {
    log: createLog(() => undefined),
    remove: async (id) => {
      if (id !== "s3") throw new Fault("member.not-found", `${id} is no member`);
      return { id, lines: [], unconfirmed: [], copies: 2 };
    },
    revokeToken: async () => undefined,
    listTokens: async () => ({ tokens: [] }),
  };
  const audit = { note: (entry: AuditEntry) => deeds.push({ ...entry, tookMs: 0 }) };
  const app = createLocalApp(deps as LocalDeps, audit);
  const call = async (method: string, path: string, body?: unknown, who = "") => {
    const headers = who === "" ? {} : { [ACTOR_HEADER]: who };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    return (await app.request(path, init)).status;
  };
  return { deeds, call };
}

test("the local app tells what was done, by whom and to what", async () => {
  const { deeds, call } = setUp();
  assert.equal(await call("POST", "/v1/members/remove", { id: "s3" }, "j%C3%BCrgen"), 200);
  assert.equal(await call("DELETE", "/v1/tokens/0123456789ab"), 200);
  assert.deepEqual(deeds, [
    {
      who: "root (jürgen)",
      role: "root",
      from: "socket",
      what: "POST /v1/members/remove",
      about: "s3",
      outcome: "done",
      code: "",
      tookMs: 0,
    },
    {
      who: "root",
      role: "root",
      from: "socket",
      what: "DELETE /v1/tokens/:id",
      about: "0123456789ab",
      outcome: "done",
      code: "",
      tookMs: 0,
    },
  ]);
});

test("the local app tells what failed with its code, also before it was understood", async () => {
  const { deeds, call } = setUp();
  assert.equal(await call("POST", "/v1/members/remove", { id: "s9" }, "%zz"), 404);
  assert.equal(await call("POST", "/v1/members/remove", "no object"), 400);
  assert.deepEqual(
    deeds.map(({ who, outcome, code, about }) => [who, outcome, code, about]),
    [
      ["root", "failed", "member.not-found", "s9"],
      ["root", "failed", "api.malformed", ""],
    ],
  );
});

test("the local app doesn't tell of reading", async () => {
  const { deeds, call } = setUp();
  assert.equal(await call("GET", "/v1/tokens"), 200);
  assert.deepEqual(deeds, []);
});
