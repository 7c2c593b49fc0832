import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isFault } from "../../base/fault.ts";
import { Settings } from "../schema.ts";
import { answer } from "../testing/status.ts";
import {
  CATALOG,
  defaultOf,
  diffSettings,
  editableOf,
  requireKey,
  SETTING_KEYS,
  withWish,
} from "./catalog.ts";

const BEFORE = Settings.parse({
  sharedName: "puppet.lab.test",
  virtualIps: ["10.0.0.10/24"],
  puppetdbUse: { id: "s1", at: "now" },
});
const MEMBERS = ["10.0.0.1", "10.0.0.2"].map((address, index) => {
  return { ...answer(`s${index + 1}`).member, address };
});
const wish = (more: object) => withWish(BEFORE, { ...editableOf(BEFORE), ...more }, MEMBERS);

const GOOD: [string, object, Partial<Settings>][] = [
  ["a second address", { virtualIps: ["10.0.0.10/24", "2001:db8::1/64"] }, {}],
  ["no address", { virtualIps: [] }, { virtualIps: [] }],
  ["another way to boot", { isolatedEdge: "refuse" }, { isolatedEdge: "refuse" }],
  ["nodes that live for ever", { puppetdbNodeTtlS: 0 }, { puppetdbNodeTtlS: 0 }],
  ["a measure", { probeEveryS: 60 }, { probeEveryS: 60 }],
  [
    "drills",
    { drills: [{ kind: "edge-kill", when: "Tue 10:00" }], drillWindows: ["Mon-Fri 09:00-17:00"] },
    {},
  ],
  ["balancers", { acceptProxyFrom: ["10.0.0.5", "10.1.0.0/16"] }, {}],
];
for (const [what, more, expected] of GOOD) {
  test(`withWish takes ${what}`, () => {
    const after = wish(more);
    assert.deepEqual({ ...after, ...expected }, after);
    assert.deepEqual(after.puppetdbUse, BEFORE.puppetdbUse, "what isn't edited stays");
    assert.equal(after.sharedName, BEFORE.sharedName);
  });
}

const BAD: [string, object, string, RegExp][] = [
  ["an unknown key", { voterz: 3 }, "config.unknown", /"voterz" is no setting/],
  ["another shared name", { sharedName: "other.test" }, "config.unknown", /sharedName/],
  ["an order", { puppetdbUse: { id: "s2", at: "x" } }, "config.unknown", /puppetdbUse/],
  ["a wrong unit", { puppetdbNodeTtlS: "14d" }, "config.refused", /puppetdbNodeTtlS: .*a duration/],
  ["what has a command of its own", { api: {} }, "config.unknown", /understudy api listen/],
  ["an even number of voters", { voters: 2 }, "config.refused", /voters: .*1, 3 or 5/],
  [
    "an address without its prefix",
    { virtualIps: ["10.0.0.9"] },
    "config.refused",
    /virtualIps \(0\)/,
  ],
  ["a measure all the time", { probeEveryS: 1 }, "config.refused", /every 10 s/],
  [
    "no drill",
    { drills: [{ kind: "fire", when: "Tue 10:00" }] },
    "config.refused",
    /drills \(0.kind\)/,
  ],
  [
    "no time",
    { drills: [{ kind: "edge-kill", when: "soon" }] },
    "config.refused",
    /day and a time of UTC/,
  ],
  ["no window", { drillWindows: ["17:00-09:00"] }, "config.refused", /Mon-Fri 09:00-17:00/],
  [
    "a drill outside of every window",
    { drills: [{ kind: "edge-kill", when: "Sat 10:00" }], drillWindows: ["Mon-Fri 09:00-17:00"] },
    "config.refused",
    /never be held/,
  ],
  ["an address twice", { virtualIps: ["10.0.0.9/24", "10.0.0.9/16"] }, "config.refused", /twice/],
  ["a member's address", { virtualIps: ["10.0.0.2/24"] }, "config.refused", /s2's own address/],
  [
    "addresses of the other family alone",
    { virtualIps: ["2001:db8::1/64"] },
    "config.refused",
    /family/,
  ],
  [
    "a balancer that is everybody",
    { acceptProxyFrom: ["0.0.0.0/0"] },
    "config.refused",
    /everybody/,
  ],
  ...["two.test;three.test", "Two.test", "*.test", "bücher.test", ""].map(
    (name): (typeof BAD)[number] => [
      `the name "${name}"`,
      { otherNames: ["one.test", name] },
      "config.refused",
      /otherNames: ".*": not a name in lower case/,
    ],
  ),
  ["a member's name", { otherNames: ["s2"] }, "config.refused", /s2 is a member/],
  ["nodes that end between two runs", { puppetdbNodeTtlS: 600 }, "config.refused", /less than 1h/],
  ["no object", { reportReceivers: "x" }, "config.refused", /reportReceivers: /],
  [
    "a receiver with a password",
    { reportReceivers: [{ name: "a", url: "https://u:p@x/" }] },
    "config.refused",
    /no password/,
  ],
  [
    "__proto__",
    JSON.parse('{"__proto__": {"voters": 5}}') as object,
    "config.unknown",
    /__proto__/,
  ],
];
for (const [what, more, code, pattern] of BAD) {
  test(`withWish refuses ${what}, and names the rule`, () => {
    const given = Object.defineProperties(
      { ...editableOf(BEFORE) },
      Object.getOwnPropertyDescriptors(more),
    );
    assert.throws(
      () => withWish(BEFORE, given, MEMBERS),
      (error) => isFault(error, code) && pattern.test([error.message, ...error.hints].join("\n")),
    );
  });
}

test("withWish leaves a taken-over primary's names as they are, whatever they look like", () => {
  const before = { ...BEFORE, otherNames: ["*.old.test"] };
  const otherNames = ["*.old.test", "new.test", "10.0.0.77"];
  assert.deepEqual(withWish(before, { otherNames }, MEMBERS).otherNames, otherNames);
});

test("withWish names every rule that is broken", () => {
  assert.throws(
    () => wish({ acceptProxyFrom: ["::/0"], puppetdbNodeTtlS: 1 }),
    (error) => isFault(error, "config.refused") && error.hints.length === 1,
  );
});

test("withWish leaves out what isn't said, as it is without anybody's word", () => {
  const { virtualIps: _, ...rest } = editableOf({ ...BEFORE, puppetdbNodeTtlS: 86_400 });
  const after = withWish({ ...BEFORE, puppetdbNodeTtlS: 86_400 }, rest, MEMBERS);
  assert.deepEqual(after.virtualIps, []);
  assert.equal(after.puppetdbNodeTtlS, 86_400);
  assert.deepEqual(defaultOf("virtualIps"), []);
  assert.equal(defaultOf("puppetdbNodeTtlS"), undefined);
});

test("what is typed is read as the record has it, and shown as it was typed", () => {
  const cases: [keyof typeof CATALOG, string[], unknown, string][] = [
    [
      "virtualIps",
      ["10.0.0.1/24,10.0.0.2/24", "10.0.0.3/24"],
      ["10.0.0.1/24", "10.0.0.2/24", "10.0.0.3/24"],
      "10.0.0.1/24 10.0.0.2/24 10.0.0.3/24",
    ],
    ["voters", ["5"], 5, "5"],
    ["puppetdbNodeTtlS", ["14d"], 1_209_600, "14d"],
    ["puppetdbNodeTtlS", ["0"], 0, "for ever"],
    ["isolatedEdge", ["refuse"], "refuse", "refuse"],
    [
      "reportReceivers",
      ["a=https://x/?y=1"],
      [{ name: "a", url: "https://x/?y=1" }],
      "a=https://x/?y=1",
    ],
    ["otherNames", [""], [], "none"],
    ["probeEveryS", ["1m"], 60, "1m"],
    ["probeEveryS", ["0"], 0, "never"],
    [
      "drills",
      ["edge-kill=Tue 10:00, vip-move=daily 3:00", "etcd-loss=Sun 4:00"],
      [
        { kind: "edge-kill", when: "Tue 10:00" },
        { kind: "vip-move", when: "daily 3:00" },
        { kind: "etcd-loss", when: "Sun 4:00" },
      ],
      "edge-kill=Tue 10:00, vip-move=daily 3:00, etcd-loss=Sun 4:00",
    ],
    ["drills", [""], [], "none"],
    ["drillWindows", ["Mon-Fri 09:00-17:00"], ["Mon-Fri 09:00-17:00"], "Mon-Fri 09:00-17:00"],
    ["drillWindows", [""], [], "at any time"],
  ];
  for (const [key, words, value, text] of cases) {
    assert.deepEqual(CATALOG[key].read(words), value);
    assert.equal(CATALOG[key].render(value), text);
  }
});

test("requireKey says what there is, and what was meant", () => {
  for (const key of SETTING_KEYS) assert.equal(requireKey(key), key);
  const hints = (key: string) => {
    try {
      requireKey(key);
    } catch (error) {
      if (isFault(error, "config.unknown")) return error.hints.join("\n");
    }
    return assert.fail();
  };
  assert.match(hints("VirtualIPs"), /^Is it virtualIps\?/);
  assert.match(hints("sharedName"), /can't be changed/);
  assert.match(hints("toString"), /There are: otherNames/);
});

test("diffSettings shows what differs, also what is changed elsewhere", () => {
  const after = { ...BEFORE, voters: 5 as const, puppetdbUse: { id: "s2", at: "later" } };
  assert.deepEqual(diffSettings(BEFORE, after), [
    { key: "voters", from: "3", to: "5" },
    { key: "puppetdbUse", from: '{"id":"s1","at":"now"}', to: '{"id":"s2","at":"later"}' },
  ]);
  assert.deepEqual(diffSettings(BEFORE, BEFORE), []);
});

test("docs/settings.md lists exactly the settings", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/settings.md"), "utf8");
  const listed = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key);
  assert.deepEqual(listed, SETTING_KEYS);
});
