import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { clientUrl, peerUrl, renderEtcdConfig, type EtcdServerConfig } from "./server.ts";

const SERVER: EtcdServerConfig = {
  name: "s1.example.com",
  address: "10.0.0.11",
  dataDir: "/var/lib/understudy/etcd/data",
  peers: [
    { name: "s1.example.com", peerUrl: "https://10.0.0.11:9142" },
    { name: "s2.example.com", peerUrl: "https://10.0.0.12:9142" },
  ],
  state: "existing",
  clusterToken: "c-1",
  tls: { cert: "/p/cert.pem", key: "/p/key.pem", ca: "/p/ca.pem", crl: "/p/crl.pem" },
};

test("renderEtcdConfig writes an EnvironmentFile with mutual TLS and both CRLs", () => {
  const lines = renderEtcdConfig(SERVER).split("\n");
  const expected = [
    'ETCD_NAME="s1.example.com"',
    'ETCD_LISTEN_CLIENT_URLS="https://10.0.0.11:9141,https://127.0.0.1:9141"',
    'ETCD_ADVERTISE_CLIENT_URLS="https://10.0.0.11:9141"',
    'ETCD_LISTEN_PEER_URLS="https://10.0.0.11:9142"',
    'ETCD_INITIAL_CLUSTER="s1.example.com=https://10.0.0.11:9142,s2.example.com=https://10.0.0.12:9142"',
    'ETCD_INITIAL_CLUSTER_STATE="existing"',
    'ETCD_CLIENT_CERT_AUTH="true"',
    'ETCD_PEER_CLIENT_CERT_AUTH="true"',
    'ETCD_CLIENT_CRL_FILE="/p/crl.pem"',
    'ETCD_PEER_CRL_FILE="/p/crl.pem"',
    'ETCD_AUTO_COMPACTION_RETENTION="1h"',
    'ETCD_ENABLE_V2="false"',
  ];
  for (const line of expected) assert.ok(lines.includes(line), line);
});

test("renderEtcdConfig refuses what would break the file, or etcd", () => {
  const cases: Partial<EtcdServerConfig>[] = [
    { dataDir: '/a"\nETCD_FORCE_NEW_CLUSTER="true' },
    { clusterToken: "" },
    { clusterToken: "$(x)" },
    { name: "s3.example.com" },
    { address: "10.0.0.99" },
    { peers: [...SERVER.peers, { name: "a=b", peerUrl: "https://10.0.0.13:9142" }] },
    { peers: [...SERVER.peers, { name: "s3", peerUrl: "https://10.0.0.13:9142,x=y" }] },
    { heartbeatMs: 500 },
    { electionMs: 60_000 },
  ];
  for (const change of cases) {
    assert.throws(
      () => renderEtcdConfig({ ...SERVER, ...change }),
      (error) => isFault(error, "etcd.config"),
      JSON.stringify(change),
    );
  }
});

test("peerUrl and clientUrl bracket IPv6 addresses", () => {
  assert.equal(peerUrl("fd00::11"), "https://[fd00::11]:9142");
  assert.equal(clientUrl("10.0.0.11"), "https://10.0.0.11:9141");
});
