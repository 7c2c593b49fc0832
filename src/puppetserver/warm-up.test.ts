import assert from "node:assert/strict";
import { createServer, type Server } from "node:https";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createAuthorityCa, issueLeaf, leafHostname } from "../cluster/pki.ts";
import { wallMs } from "../host/clock.ts";
import { freePorts } from "../host/testing/ports.ts";
import { exportPkcs8, generateEcKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";
import { warmUp } from "./warm-up.ts";

const authority = createAuthorityCa("edge", "c1", wallMs());
const MEMBER = { id: "s1.test", address: "127.0.0.1" };

function leafOf(leaf: "listener" | "edge") {
  const key = generateEcKey();
  const request = createRequest({ commonName: MEMBER.id, key });
  const { pem } = issueLeaf(authority, leaf, MEMBER, request, wallMs());
  return { ca: authority.certificatePem, cert: pem, key: exportPkcs8(key) };
}

const asked: string[] = [];
let answers = 200;
let port = 0;
let server: Server | undefined;
before(async () => {
  [port = 0] = await freePorts(1);
  const tls = { ...leafOf("listener"), requestCert: true, rejectUnauthorized: true };
  server = createServer(tls, (incoming, outgoing) => {
    asked.push(`${incoming.url} ${String(incoming.headers["x-client-dn"])}`);
    outgoing.writeHead(answers).end("{}");
  });
  await new Promise<void>((resolve) => server?.listen(port, "127.0.0.1", resolve));
});
after(() => server?.close());

const access = () => ({
  ...leafOf("edge"),
  address: "127.0.0.1",
  port,
  serverName: leafHostname("listener", MEMBER.id),
});
const unwell = (error: unknown) => isFault(error, "puppetserver.unwell");

test("warmUp asks once for each JRuby, as a member", async () => {
  await warmUp(access(), { as: MEMBER.id, times: 4 });
  assert.deepEqual(
    asked.splice(0),
    Array.from({ length: 4 }, () => "/puppet/v3/environments CN=s1.test"),
  );
});

test("warmUp takes a refusal for life, an error of its own or silence not", async () => {
  answers = 403;
  await warmUp(access(), { as: MEMBER.id, times: 1 });
  answers = 500;
  await assert.rejects(warmUp(access(), { as: MEMBER.id, times: 2 }), unwell);
  const [closed = 0] = await freePorts(1);
  await assert.rejects(warmUp({ ...access(), port: closed }, { as: "s1", times: 1 }), unwell);
});
