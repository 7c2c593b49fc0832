import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer, type Server } from "node:tls";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { authorityHash, createAuthorityCa, issueLeaf } from "../cluster/pki.ts";
import { wallMs } from "../host/clock.ts";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { fetchPinnedCa } from "./pinned-ca.ts";

const authority = createAuthorityCa("control", "c1", wallMs());
const HASH = authorityHash(authority.certificatePem);
let server: Server;
let url: URL;

before(async () => {
  const key = generateEcKey();
  const wanted = createRequest({ commonName: "s1.test", key });
  const member = { id: "s1.test", address: "127.0.0.1" };
  const { pem } = issueLeaf(authority, "control", member, wanted, wallMs());
  server = createServer({ cert: `${pem}${authority.certificatePem}`, key: exportPkcs8(key) });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
after(() => server.close());

test("fetchPinnedCa gives the CA that the token names, and refuses another", async () => {
  assert.equal(authorityHash(await fetchPinnedCa(url, HASH)), HASH);
  await assert.rejects(fetchPinnedCa(url, "x".repeat(43)), (error) =>
    isFault(error, "join.wrong-ca"),
  );
});

test("fetchPinnedCa says so where TLS would refuse for this server's clock", async () => {
  for (const nowMs of [Date.parse("2000-01-01T00:00:00Z"), Date.parse("2099-01-01T00:00:00Z")]) {
    await assert.rejects(
      fetchPinnedCa(url, HASH, nowMs),
      (error) => isFault(error, "join.clock") && error.message.includes("by this server's clock"),
    );
  }
});
