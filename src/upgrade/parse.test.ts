import assert from "node:assert/strict";
import { test } from "node:test";
import { explainApt, parseAptPlan, parseInstalled } from "./parse.ts";

test("parseInstalled lists what is there, and whether it is held or half set up", () => {
  const text = [
    "haproxy\t2.6.12-1\tii ",
    "keepalived\t1:2.2.7-1\thi ",
    "etcd-server\t3.4.23-4\tiF ",
    "puppetserver\t7.9.5-2\trc ",
    "puppetdb\t\tun ",
    "",
  ].join("\n");
  assert.deepEqual(parseInstalled(text), [
    { name: "haproxy", version: "2.6.12-1", held: false, whole: true },
    { name: "keepalived", version: "1:2.2.7-1", held: true, whole: true },
    { name: "etcd-server", version: "3.4.23-4", held: false, whole: false },
  ]);
});

test("parseAptPlan reads what apt would do", () => {
  const text = `NOTE: This is only a simulation!
Reading package lists...
The following packages will be upgraded:
  haproxy libssl3
Remv old-thing [1.0]
Inst libssl3 [3.0.11-1] (3.0.15-1 Debian-Security:12/stable-security [amd64]) []
Inst haproxy [2.6.12-1] (2.6.12-1+deb12u2 Debian:12.9/stable [amd64])
Inst libnew (1.0-1 Debian:12.9/stable [amd64])
Conf haproxy (2.6.12-1+deb12u2 Debian:12.9/stable [amd64])
`;
  assert.deepEqual(parseAptPlan(text), {
    changes: [
      { name: "libssl3", from: "3.0.11-1", to: "3.0.15-1" },
      { name: "haproxy", from: "2.6.12-1", to: "2.6.12-1+deb12u2" },
      { name: "libnew", from: "", to: "1.0-1" },
    ],
    removes: ["old-thing"],
  });
  assert.deepEqual(parseAptPlan("0 upgraded, 0 newly installed"), { changes: [], removes: [] });
});

test("explainApt says in words what is to be mended, with apt's own", () => {
  const cases: [string, RegExp][] = [
    [
      "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 71 (apt-get)\nE: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
      /^another program installs packages there.*\(Could not get lock/,
    ],
    [
      "Err:1 http://archive.example.com/debian bookworm InRelease\n  Temporary failure resolving 'archive.example.com'\nE: Failed to fetch http://archive.example.com/x.deb  Temporary failure resolving",
      /^an archive can't be reached.*\(Err:1 http/,
    ],
    ["E: Version '2.6-2' for 'haproxy' was not found", /^the archive has another version by now/],
    ["E: You don't have enough free space in /var/cache/apt/archives/.", /^there is no room/],
    ["E: Packages need to be removed but remove is disabled.", /^it would remove packages/],
    [
      "dpkg: error processing package x (--configure):\n x is broken\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
      /^dpkg failed: .*\(dpkg: error processing/,
    ],
    [
      "apt-get -q update: exit code 100\n  E: Some index files failed to download.",
      /^Some index|E: Some/,
    ],
    ["something else", /^something else$/],
    ["", /^$/],
  ];
  for (const [said, expected] of cases) assert.match(explainApt(said), expected, said);
});
