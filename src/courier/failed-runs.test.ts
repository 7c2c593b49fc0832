import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { FailedRuns } from "../cluster/failed-runs.ts";
import { readCommandBody, type RequestHead } from "./command.ts";
import { createFailedRuns, failedRunOf } from "./failed-runs.ts";

/** A report as the terminus of PuppetDB sends it. */
const REPORT = {
  certname: "web7.test",
  environment: "production",
  status: "failed",
  producer_timestamp: "2026-11-20T12:00:00.000Z",
  resources: [
    { resource_type: "Service", resource_title: "a", file: "/x.pp", line: 1, events: [] },
    {
      resource_type: "File",
      resource_title: "/etc/motd",
      file: "/etc/puppet/code/site.pp",
      line: 12,
      events: [
        { status: "success", message: "owner changed" },
        { status: "failure", message: "change from absent to file failed: no space" },
      ],
    },
  ],
  logs: [],
};

test("failedRunOf says which resources failed, with file and line", () => {
  assert.deepEqual(failedRunOf(REPORT), {
    certname: "web7.test",
    environment: "production",
    resources: [
      {
        name: "File[/etc/motd]",
        where: "/etc/puppet/code/site.pp:12",
        message: "change from absent to file failed: no space",
      },
    ],
    more: 0,
  });
});

test("failedRunOf says nothing of runs that went well, and of one without a catalog what its log has", () => {
  for (const status of ["changed", "unchanged", undefined]) {
    assert.equal(failedRunOf({ ...REPORT, status }), undefined);
  }
  const message = "Could not retrieve catalog from remote server";
  const logs = [
    { level: "info", message: "x" },
    { level: "err", source: "Puppet", message },
  ];
  const run = failedRunOf({ ...REPORT, resources: { data: [] }, logs: { data: logs } });
  assert.deepEqual(run?.resources, [{ name: "Puppet", where: "", message }]);
});

test("failedRunOf bounds what it takes, and takes any shape", () => {
  const [, failed] = REPORT.resources;
  const huge = { ...failed, resource_title: "x".repeat(100_000) };
  const run = failedRunOf({ ...REPORT, resources: Array.from({ length: 9000 }, () => huge) });
  assert.equal(run?.resources.length, 5);
  assert.ok(JSON.stringify(run).length < 4000);
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom(...Object.keys(REPORT)), fc.jsonValue()),
      (report) => {
        const kept = createFailedRuns();
        const any = failedRunOf({ ...report, status: "failed" });
        assert.ok(any !== undefined);
        kept.note(any, 1);
        FailedRuns.parse(kept.list());
      },
    ),
  );
});

test("what a report says is seen as it is taken, and nothing of other commands", () => {
  const body = Buffer.from(JSON.stringify(REPORT));
  const head: RequestHead = { kind: "report", certname: "web7.test", producerMs: 0, query: "" };
  const failedOf = (kind: RequestHead["kind"]) => {
    const read = readCommandBody({ ...head, kind }, body, 0);
    return read.ok ? read.failed : assert.fail(read.because);
  };
  assert.equal(failedOf("report")?.certname, "web7.test");
  assert.equal(failedOf("facts"), undefined);
});

test("createFailedRuns keeps the last ones, and their numbers tell of those that went", () => {
  const kept = createFailedRuns();
  const run = failedRunOf(REPORT);
  assert.ok(run !== undefined);
  for (let number = 0; number < 400; number += 1) kept.note(run, number);
  const { runs, life } = kept.list();
  assert.equal(runs.length, 300);
  assert.deepEqual([runs[0]?.number, runs.at(-1)?.number], [101, 400]);
  assert.notEqual(createFailedRuns().list().life, life);
});
