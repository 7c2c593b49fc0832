import assert from "node:assert/strict";
import { test } from "node:test";
import { isCertificateAlert, isTlsCode, judgeError } from "./judge.ts";

test("judgeError counts everything as perhaps done that isn't known not to be", () => {
  const cases: [code: number, message: string, expected: string][] = [
    [14, "etcdserver: no leader", "not-done"],
    [14, "etcdserver: rpc not supported for learner", "not-done"],
    [8, "etcdserver: too many requests", "not-done"],
    [2, "raft proposal dropped", "not-done"],
    [14, "etcdserver: unhealthy cluster", "not-done"],
    [14, "etcdserver: request timed out", "unknown"],
    [14, "etcdserver: request timed out, possibly due to previous leader failure", "unknown"],
    [14, "etcdserver: leader changed", "unknown"],
    [14, "etcdserver: server stopped", "unknown"],
    [14, "transport is closing", "unknown"],
    [1, "context canceled", "unknown"],
    [2, "something new", "unknown"],
    [99, "something newer", "unknown"],
    [8, "etcdserver: mvcc: database space exceeded", "etcd.no-space"],
    [11, "etcdserver: mvcc: required revision has been compacted", "etcd.compacted"],
    [3, "etcdserver: request is too large", "etcd.refused"],
    [5, "etcdserver: requested lease not found", "etcd.refused"],
    [16, "etcdserver: invalid auth token", "etcd.refused"],
  ];
  for (const [code, message, expected] of cases) {
    const verdict = judgeError(code, message);
    const said = verdict.means === "refused" ? verdict.fault.code : verdict.means;
    assert.equal(said, expected, message);
  }
});

test("isTlsCode tells a handshake's failure from the network's", () => {
  const tls = [
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
    "CERT_HAS_EXPIRED",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "EPROTO",
  ];
  for (const code of tls) assert.equal(isTlsCode(code), true, code);
  for (const code of ["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ETIMEDOUT", ""]) {
    assert.equal(isTlsCode(code), false, code);
  }
});

test("isCertificateAlert knows a member's no to our certificate from a broken connection", () => {
  const alerts = [
    "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "ERR_SSL_TLS_ALERT_CERTIFICATE_EXPIRED",
    "ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE",
    "ERR_SSL_TLSV1_ALERT_UNKNOWN_CA",
  ];
  for (const code of alerts) assert.equal(isCertificateAlert(code), true, code);
  for (const code of ["EPROTO", "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC", "ECONNRESET"]) {
    assert.equal(isCertificateAlert(code), false, code);
  }
});
