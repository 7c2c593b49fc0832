import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpsServer } from "node:https";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { createAuthorityCa, issueLeaf } from "../cluster/pki.ts";
import { type Member, Settings } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { heedRemoval, wasRemoved } from "./stand-down.ts";

/** Addresses of this machine that no other test listens on: the port is a fixed one. */
const SILENT = "127.0.88.13";
const VIRTUAL = "127.0.88.14";

function member(id: string, address: string): Member {
  return {
    id,
    address,
    role: "server",
    phase: "ready",
    mayVote: true,
    backends: [],
    version: "1",
    joinedAt: "2026-11-20T10:00:00.000Z",
  };
}

function viewOf(virtualIps: string[], ...members: Member[]): View {
  const settings = Settings.parse({ sharedName: "puppet.lab.test", virtualIps });
  return { members, settings } as View;
}

test("wasRemoved hears it from whoever has the virtual IP, where all members that it knows are gone", async () => {
  const authority = createAuthorityCa("control", "c1", wallMs());
  const leafOf = (id: string) => {
    const key = generateEcKey();
    const wanted = createRequest({ commonName: id, key });
    const { pem } = issueLeaf(authority, "control", { id, address: VIRTUAL }, wanted, wallMs());
    return { ca: authority.certificatePem, cert: pem, key: exportPkcs8(key) };
  };
  const fault = { error: { code: "member.removed", message: "removed", hints: [] } };
  const holder = createHttpsServer({ ...leafOf("s4"), requestCert: true }, (_asked, answer) => {
    answer.writeHead(403).end(JSON.stringify(fault));
  });
  holder.listen(PORTS.control, VIRTUAL);
  await once(holder, "listening");
  const ask = async (virtualIps: string[]) => {
    const view = viewOf(virtualIps, member("s1", "127.0.88.11"), member("s2", "127.0.88.12"));
    return wasRemoved(view, "s1", leafOf("s1"), new AbortController().signal);
  };
  try {
    assert.equal(await ask([`${VIRTUAL}/24`]), true);
    assert.equal(await ask([]), false);
  } finally {
    holder.closeAllConnections();
    holder.close();
  }
});

test("wasRemoved waits for no silent member once its caller has what it wants", async () => {
  const knocks: Socket[] = [];
  const silent = createServer((socket) => knocks.push(socket.on("error", () => undefined)));
  silent.listen(PORTS.control, SILENT);
  await once(silent, "listening");
  const knocked = once(silent, "connection");
  const view = viewOf([], member("s1", "127.0.88.11"), member("s3", SILENT));
  const known = new AbortController();
  const asked = wasRemoved(view, "s1", { ca: "", cert: "", key: "" }, known.signal);
  await knocked;
  const ended = Promise.all(knocks.map(async (socket) => once(socket.resume(), "close")));
  known.abort();
  const first = await Promise.race([
    asked,
    // Well below what it gives a silent member.
    new Promise((resolve) => setTimeout(() => resolve("still waiting"), 1500).unref()),
  ]);
  assert.equal(first, false);
  await ended;
  silent.close();
});

test("heedRemoval stops everything at once where a full disk doesn't take in that it was removed", async () => {
  const heed = async (remember: () => Promise<void>) => {
    const done: string[] = [];
    const stopAll = async () => void done.push("all stops");
    const restart = () => void done.push("the daemon starts anew");
    await heedRemoval(
      createLog(() => undefined),
      restart,
      { remember, stopAll },
    );
    return done;
  };
  assert.deepEqual(await heed(async () => undefined), ["the daemon starts anew"]);
  const full = async () => {
    throw new Error("ENOSPC: no space left on device");
  };
  assert.deepEqual(await heed(full), ["all stops"]);
});
