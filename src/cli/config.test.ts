import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { Settings } from "../cluster/schema.ts";
import { editableOf, withWish } from "../cluster/settings/catalog.ts";
import { parseText, renderChanges, renderText, revisionIn } from "./config-text.ts";
import { renderShown } from "./config.ts";

const SETTINGS = Settings.parse({
  sharedName: "puppet.lab.test",
  virtualIps: ["10.0.0.10/24"],
  reportReceivers: [{ name: "a", url: "https://x.test/?q=1,]&b=,}//x" }],
});

test("parseText of renderText is what may be edited, whatever is in it", () => {
  assert.deepEqual(parseText(renderText(SETTINGS, 10)), editableOf(SETTINGS));
  const empty = Settings.parse({ sharedName: "puppet.lab.test" });
  assert.deepEqual(parseText(renderText(empty, 10)), editableOf(empty));
});

test("revisionIn of renderText is what it was made from, and a text without it has none", () => {
  assert.equal(revisionIn(renderText(SETTINGS, 4711)), 4711);
  assert.equal(revisionIn(JSON.stringify({ puppetdbClients: ["// revision 3"] })), undefined);
});

test("renderText shows what isn't set, so that it can be", () => {
  const text = renderText(SETTINGS, 10);
  assert.match(text, /^ {2}\/\/ "puppetdbNodeTtlS": …,$/m);
  assert.match(text, /^ {2}\/\/ .*\(1, 3 or 5\)\n {2}"voters": 3,$/m);
  const set = text.replace('// "puppetdbNodeTtlS": …,', '"puppetdbNodeTtlS": 86400,');
  assert.equal(parseText(set)["puppetdbNodeTtlS"], 86_400);
});

test("renderText says of what isn't set how it is in JSON, and such is taken", () => {
  const EXAMPLES: Record<string, [string, unknown]> = {
    puppetdbClients: ['["NAME"]', ["grafana.test"]],
    puppetdbNodeTtlS: ["seconds, 0 for ever", 86_400],
    reportReceivers: ['[{"name": "NAME", "url": "URL"}]', [{ name: "a", url: "https://x.test/" }]],
    probeEveryS: ["seconds, 0 for never", 60],
    drills: ['[{"kind": "KIND", "when": "DAY HH:MM"}]', [{ kind: "edge-kill", when: "Tue 10:00" }]],
    drillWindows: ['["DAY-DAY HH:MM-HH:MM"]; []: at any time', ["Mon-Fri 09:00-17:00"]],
  };
  const empty = Settings.parse({ sharedName: "puppet.lab.test" });
  const lines = renderText(empty, 10).split("\n");
  const unset = lines.flatMap((line, at) => {
    const key = /^ {2}\/\/ "(\w+)": …,$/.exec(line)?.[1];
    return key === undefined ? [] : [[key, lines[at - 1] ?? ""] as const];
  });
  assert.deepEqual(
    unset.map(([key]) => key),
    Object.keys(EXAMPLES),
  );
  for (const [key, said] of unset) {
    const [form = "", value] = EXAMPLES[key] ?? [];
    assert.ok(said.endsWith(`(${form})`), said);
    assert.deepEqual(withWish(empty, { [key]: value }, [])[key as "drills"], value);
  }
  assert.throws(
    () => withWish(empty, { drills: ["edge-kill=Tue 10:00"] }, []),
    (error) => isFault(error, "config.refused") && /in JSON: \[\{"kind"/.test(error.message),
  );
});

for (const text of ["", "[]", "null", "{", '{"voters": 3', "// only a comment"]) {
  test(`parseText refuses ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseText(text),
      (error) => isFault(error, "config.text"),
    );
  });
}

test("renderShown and renderChanges show values as people type them", () => {
  const shown = renderShown({
    because: "",
    revision: 1,
    settings: { ...SETTINGS, puppetdbNodeTtlS: 1_209_600 },
  });
  assert.match(shown, /^virtualIps +10\.0\.0\.10\/24 +addresses that/m);
  assert.match(shown, /^puppetdbNodeTtlS +14d /m);
  assert.match(shown, /^puppetdbClients +not set /m);
  const old = renderShown({ because: "no quorum", revision: 0, settings: SETTINGS });
  assert.match(old, /^! As this member last read them: .*\(no quorum\)\.$/m);
  const changes = [{ key: "voters", from: "3", to: "5\u001b[1m" }];
  assert.equal(renderChanges(changes), "  voters: 3 → 5\\u{1b}[1m");
  assert.equal(renderChanges([]), "Nothing differs.");
});
