import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { type AuditEntry, auditToLog } from "./audit.ts";

const ENTRY: AuditEntry = {
  who: "ops",
  role: "operator",
  from: "10.0.0.5",
  what: "POST /v1/ca/sign",
  about: "web.test",
  outcome: "done",
  code: "",
  tookMs: 12,
};

function lineOf(entry: AuditEntry): { level: string; fields: Record<string, unknown> } {
  const lines: string[] = [];
  auditToLog(createLog((line) => lines.push(line))).note(entry);
  const [line = "", ...more] = lines;
  assert.deepEqual(more, []);
  assert.doesNotMatch(line, /\n/);
  return {
    level: line.slice(0, 3),
    fields: JSON.parse(line.slice(3)) as Record<string, unknown>,
  };
}

test("auditToLog makes one line with fields of each entry; what was refused is a warning", () => {
  const { level, fields } = lineOf(ENTRY);
  assert.equal(level, "<5>");
  assert.equal(fields["message"], "ops from 10.0.0.5: POST /v1/ca/sign web.test: done");
  const { message: _message, level: _level, ...rest } = fields;
  assert.deepEqual(rest, { audit: true, ...ENTRY, event: "command" });
  const refused = lineOf({ ...ENTRY, outcome: "refused", code: "access.role" });
  assert.deepEqual(
    [refused.level, refused.fields["message"]],
    ["<4>", "ops from 10.0.0.5: POST /v1/ca/sign web.test: refused (access.role)"],
  );
});

test("auditToLog: what strangers send becomes neither a long line nor a control sequence", () => {
  const { fields } = lineOf({ ...ENTRY, what: "GET /\u001b[2J", about: "a\nb".repeat(10_000) });
  assert.equal(fields["what"], "GET /?[2J");
  assert.match(String(fields["about"]), /^a\?ba\?b.*…$/);
  assert.ok(String(fields["message"]).length < 1000);
});
