// Calls between members over real TLS.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:https";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { z } from "zod";
import { wallMs } from "../host/clock.ts";
import { PORTS } from "../host/paths.ts";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { createPeers } from "./peer.ts";
import { createAuthorityCa, issueLeaf } from "./pki.ts";

/** Loopback of this test alone: members are called at one fixed port. */
const ADDRESS = "127.77.31.1";
const authority = createAuthorityCa("control", "c1", wallMs());

function leafOf(id: string): { ca: string; cert: string; key: string } {
  const key = generateEcKey();
  const wanted = createRequest({ commonName: id, key });
  const { pem } = issueLeaf(authority, "control", { id, address: ADDRESS }, wanted, wallMs());
  return { ca: authority.certificatePem, cert: pem, key: exportPkcs8(key) };
}

test("createPeers finishes a call under way when this member's certificate changes meanwhile", async () => {
  const Answer = z.object({ path: z.string() });
  const slowly = Promise.withResolvers<ServerResponse>();
  const server = createServer({ ...leafOf("s2.test"), requestCert: true }, (incoming, outgoing) => {
    if (incoming.url === "/slow") slowly.resolve(outgoing);
    else outgoing.end(JSON.stringify({ path: incoming.url }));
  });
  server.listen(PORTS.control, ADDRESS);
  await once(server, "listening");
  let tls = leafOf("s1.test");
  const peers = createPeers(() => tls);
  try {
    const slow = peers.call(ADDRESS, "/slow", { answer: Answer, withinMs: 60_000 });
    const outgoing = await slowly.promise;
    tls = leafOf("s1.test");
    assert.deepEqual(await peers.call(ADDRESS, "/quick", { answer: Answer }), { path: "/quick" });
    outgoing.end(JSON.stringify({ path: "/slow" }));
    assert.deepEqual(await slow, { path: "/slow" });
  } finally {
    peers.close();
    server.closeAllConnections();
    server.close();
  }
});

test("createPeers asks again where the peer closed a kept connection that was to be used", async () => {
  const Answer = z.object({ count: z.int() });
  let count = 0;
  const server = createServer({ ...leafOf("s2.test"), requestCert: true }, (incoming, outgoing) => {
    count += 1;
    if (count === 2) incoming.socket.destroy();
    else outgoing.end(JSON.stringify({ count }));
  });
  server.listen(PORTS.control, ADDRESS);
  await once(server, "listening");
  const tls = leafOf("s1.test");
  const peers = createPeers(() => tls);
  try {
    assert.deepEqual(await peers.call(ADDRESS, "/one", { answer: Answer }), { count: 1 });
    assert.deepEqual(await peers.call(ADDRESS, "/two", { answer: Answer }), { count: 3 });
  } finally {
    peers.close();
    server.closeAllConnections();
    server.close();
  }
});
