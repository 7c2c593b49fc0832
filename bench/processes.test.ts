import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCpuMs, parseInnerPid, parseResident, readUsage } from "./processes.ts";

test("parseCpuMs adds user and system time, also of children that ended, whatever the command is called", () => {
  const stat = "210 (a ) (b) S 1 210 210 0 -1 4194560 9 0 0 0 150 50 3 4 20 0 12 0 99 1 2";
  assert.equal(parseCpuMs(stat), 2070);
});

test("parseInnerPid and parseResident read /proc/PID/status", () => {
  const status = "Name:\thaproxy\nVmRSS:\t   1024 kB\nNSpid:\t4242\t17\n";
  assert.equal(parseInnerPid(status), 17);
  assert.equal(parseResident(status), 1024 * 1024);
  assert.equal(parseInnerPid("Name:\tx\n"), undefined);
  assert.equal(parseResident("Name:\tkthread\n"), 0);
});

test("readUsage reads this process, and nothing of one that isn't there", () => {
  const self = readUsage([process.pid]);
  assert.ok(self.residentBytes > 1024 * 1024 && self.cpuMs > 0);
  assert.deepEqual(readUsage([4_194_305]), { residentBytes: 0, cpuMs: 0 });
});
