import assert from "node:assert/strict";
import { test } from "node:test";
import { commandOfRow, deactivation, revival, type RowKind } from "./command-of.ts";

const AT = "2026-11-20T09:00:00.123Z";

/** The command of `row`, which is JSON with its numbers as they are to stay. */
function made(kind: RowKind, row: string): { query: string; body: string; name: string } {
  const command = commandOfRow(kind, row);
  if ("because" in command) throw new Error(command.because);
  return { query: command.head.query, body: command.body.toString("utf8"), name: command.name };
}

void test("commandOfRow makes a catalog that has PuppetDB's hash: no null file or line, numbers as they were", () => {
  const row = `{"hash":"h","certname":"a b.test","version":"1","environment":"production",
    "transaction_uuid":null,"catalog_uuid":"u","code_id":null,"job_id":null,"producer":"p",
    "producer_timestamp":"${AT}","new_field":1,
    "edges":{"href":"/x","data":[{"source_type":"Class","source_title":"A","target_type":"File",
      "target_title":"/b","relationship":"contains"}]},
    "resources":{"href":"/x","data":[{"resource":"r","certname":"a b.test","environment":"production",
      "type":"File","title":"/b","exported":true,"tags":["file"],"file":null,"line":null,
      "parameters":{"n":1.0,"big":12345678901234567890}},
      {"type":"Class","title":"A","exported":false,"tags":[],"file":"/m.pp","line":3,"parameters":{}}]}}`;
  const { query, body, name } = made("catalog", row);
  assert.equal(name, "a b.test");
  assert.equal(
    query,
    "command=replace_catalog&version=9&certname=a%20b.test&producer-timestamp=2026-11-20T09%3A00%3A00.123Z",
  );
  assert.equal(
    body,
    `{"certname":"a b.test","version":"1","environment":"production","transaction_uuid":null,` +
      `"catalog_uuid":"u","code_id":null,"job_id":null,"producer_timestamp":"${AT}","producer":"p",` +
      `"edges":[{"source":{"type":"Class","title":"A"},"target":{"type":"File","title":"/b"},"relationship":"contains"}],` +
      `"resources":[{"type":"File","title":"/b","exported":true,"tags":["file"],"parameters":{"n":1.0,"big":12345678901234567890}},` +
      `{"type":"Class","title":"A","exported":false,"tags":[],"parameters":{},"file":"/m.pp","line":3}]}`,
  );
});

void test("commandOfRow makes facts with their packages, and without where there are none", () => {
  const row = (packages: string) =>
    `{"timestamp":"${AT}","hash":"h","certname":"a","environment":"production","producer":null,
      "producer_timestamp":"${AT}","package_inventory":${packages},
      "facts":{"data":[{"name":"__proto__","value":{"x":1e3}},{"name":"n","value":0.10}]}}`;
  const plain =
    `{"certname":"a","environment":"production","producer_timestamp":"${AT}","producer":null,` +
    `"values":{"__proto__":{"x":1e3},"n":0.10}`;
  assert.equal(made("facts", row("[]")).body, `${plain}}`);
  assert.equal(made("facts", row("null")).body, `${plain}}`);
  const packages = `[["a","1.0","apt"]]`;
  assert.equal(made("facts", row(packages)).body, `${plain},"package_inventory":${packages}}`);
});

void test("commandOfRow makes a report whose events are by resource again", () => {
  const event = (title: string, status: string, property: string) =>
    `{"report":"h","certname":"a","status":"${status}","timestamp":"${AT}","resource_type":"File",
      "resource_title":"${title}","file":null,"line":7,"containment_path":["Stage[main]"],
      "property":"${property}","old_value":1.50,"new_value":null,"message":"m","name":"n",
      "corrective_change":null,"containing_class":"x","run_start_time":"${AT}"}`;
  const events = [
    event("/a", "success", "mode"),
    event("/b", "skipped", "x"),
    event("/a", "failure", "owner"),
  ];
  const row = `{"hash":"abc","receive_time":"${AT}","certname":"a","puppet_version":"7","report_format":12,
    "producer_timestamp":"${AT}","type":"agent","noop":false,"corrective_change":null,"resources":{"data":null},
    "metrics":{"data":[{"name":"total","value":0.10}]},"logs":{"data":null},
    "resource_events":{"data":[${events.join()}]}}`;
  const { body, name } = made("report", row);
  assert.equal(name, "abc");
  const report = JSON.parse(body) as Record<string, unknown>;
  assert.ok(!("hash" in report) && !("receive_time" in report) && !("resource_events" in report));
  assert.deepEqual(report["logs"], []);
  assert.match(body, /"metrics":\[\{"name":"total","value":0\.10\}\]/);
  const resources = report["resources"] as {
    resource_title: string;
    skipped: boolean;
    events: object[];
  }[];
  assert.deepEqual(
    resources.map((each) => [each.resource_title, each.skipped, each.events.length]),
    [
      ["/a", false, 2],
      ["/b", true, 1],
    ],
  );
  assert.deepEqual(Object.keys(resources[0]?.events[0] ?? {}).toSorted(), [
    "corrective_change",
    "message",
    "name",
    "new_value",
    "old_value",
    "property",
    "status",
    "timestamp",
  ]);
  assert.match(body, /"old_value":1\.50/);
});

void test("commandOfRow passes a catalog's inputs on, and says of what it can't understand why", () => {
  const inputs = `{"certname":"a","producer_timestamp":"${AT}","catalog_uuid":"u","inputs":[["hiera","x"]]}`;
  assert.equal(made("inputs", inputs).body, inputs);
  const odd = commandOfRow(
    "facts",
    `{"certname":"a","producer_timestamp":"${AT}","facts":{"data":7}}`,
  );
  assert.ok("because" in odd && odd.name === "a");
  const timeless = commandOfRow("inputs", `{"certname":"a","producer_timestamp":"soon"}`);
  assert.ok("because" in timeless);
  assert.throws(() => commandOfRow("facts", `{"error":"x"}`));
});

void test("deactivation and revival are commands of the node as of a time", () => {
  assert.equal(
    deactivation("a", AT).body.toString(),
    `{"certname":"a","producer_timestamp":"${AT}"}`,
  );
  const { head, body } = revival("a", AT);
  assert.match(head.query, /^command=configure_expiration&version=1&certname=a&/);
  assert.deepEqual(JSON.parse(body.toString()), {
    certname: "a",
    expire: { facts: true },
    producer_timestamp: AT,
  });
});
