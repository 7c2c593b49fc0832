import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { ApiSettings } from "../cluster/schema.ts";
import { type ApiFlags, readApiWish, renderApi } from "./api.ts";

const FLAGS: ApiFlags = { port: "9143", metricsFrom: [] };

test("readApiWish takes what is given, and leaves the rest as it is by default", () => {
  for (const [flags, expected] of [
    [{}, { port: 9143, metricsFrom: [] }],
    [{ health: true }, { port: 9143, metricsFrom: [], healthPort: 9144 }],
    [{ health: "80" }, { port: 9143, metricsFrom: [], healthPort: 80 }],
    [
      { port: "443", address: "fd00::1", metricsFrom: ["10.0.0.0/24", "10.1.0.5"] },
      { port: 443, address: "fd00::1", metricsFrom: ["10.0.0.0/24", "10.1.0.5"] },
    ],
    [
      { cert: "/a.pem", key: "/a.key" },
      { port: 9143, metricsFrom: [], certificate: { cert: "/a.pem", key: "/a.key" } },
    ],
  ] as const) {
    const wish = readApiWish({ ...FLAGS, ...flags, metricsFrom: [...(flags.metricsFrom ?? [])] });
    assert.deepEqual(wish, expected);
    assert.deepEqual(ApiSettings.parse(wish), wish);
  }
});

test("readApiWish names the option that can't be", () => {
  for (const [flags, message] of [
    [{ port: "0" }, /--port "0"/],
    [{ port: "x" }, /--port "x"/],
    [{ address: "puppet" }, /--address "puppet"/],
    [{ cert: "/a.pem" }, /--cert and --key go together/],
    [{ key: "/a.pem" }, /--cert and --key go together/],
    [{ cert: "a.pem", key: "/a.key" }, /--cert "a.pem": not an absolute path/],
    [{ metricsFrom: ["10.0.0.0/33"] }, /--metrics-from "10.0.0.0\/33"/],
    [{ health: "70000" }, /--health "70000"/],
  ] as const) {
    assert.throws(
      () => readApiWish({ ...FLAGS, ...flags, metricsFrom: [...(flags.metricsFrom ?? [])] }),
      (error) => isFault(error, "cli.option") && message.test(error.message),
    );
  }
});

test("renderApi shows how it is set, where it listens, and where it doesn't and why", () => {
  const settings = ApiSettings.parse({ metricsFrom: ["10.0.0.0/24"], healthPort: 9144 });
  const members = [
    { member: "s1", url: "https://s1:9143", because: "" },
    { member: "s2", url: "", because: "port 9143 is in use" },
  ];
  assert.equal(
    renderApi({ settings, members }),
    `Certificate: each member's Puppet certificate
Metrics: with a token, and without from 10.0.0.0/24
Health without TLS: port 9144

MEMBER  LISTENS AT       WHY NOT
s1      https://s1:9143
s2      -                port 9143 is in use`,
  );
  const off = { members: [{ member: "s1", url: "", because: "" }] };
  assert.equal(renderApi(off), "The API is not on the network: understudy api listen --help");
  assert.match(renderApi({ members }), /^The API is not on.*\n\nMEMBER.*\ns1 .*9143/);
});
