import assert from "node:assert/strict";
import { test } from "node:test";
import { makeChannel } from "../alerts/channel.ts";
import { isFault } from "../base/fault.ts";
import type { AlertsShown } from "../setup/alerts-contract.ts";
import { readChannel, readFailedRuns, readServer, renderAlerts } from "./alerts.ts";

const MAIL = { type: "mail", host: "mail.test", from: "a@test", to: ["b@test"] };
const ALL = { minSeverity: "warning" };

test("readServer reads a host with or without its port", () => {
  assert.deepEqual(readServer("mail.test"), { host: "mail.test" });
  assert.deepEqual(readServer("mail.test:25"), { host: "mail.test", port: 25 });
  assert.deepEqual(readServer("[2001:db8::1]:587"), { host: "2001:db8::1", port: 587 });
  assert.throws(
    () => readServer("2001:db8::1"),
    (error) => isFault(error, "cli.option"),
  );
});

test("readFailedRuns takes an interval or --off, and not both", () => {
  assert.deepEqual(readFailedRuns({ every: "1h" }), { everyS: 3600 });
  assert.deepEqual(readFailedRuns({ off: true }), {});
  for (const bad of [{}, { every: "1h", off: true }, { every: "10s" }]) {
    assert.throws(
      () => readFailedRuns(bad),
      (error) => isFault(error, "cli.option"),
    );
  }
});

const GOOD: [string, Record<string, unknown>, string | undefined][] = [
  ["a mail without a password", MAIL, undefined],
  ["a mail with one", { ...MAIL, user: "u", password: "s3cret!" }, "s3cret!"],
  ["a webhook", { type: "slack", url: "https://chat.test/x" }, "https://chat.test/x"],
  ["one on this server", { type: "json", url: "http://127.0.0.1:1/x" }, "http://127.0.0.1:1/x"],
];
for (const [what, more, secret] of GOOD) {
  test(`a channel may be ${what}, and its secret is kept apart`, () => {
    const made = makeChannel(readChannel("ops", ALL, more));
    assert.equal(made.secret, secret);
    assert.ok(!JSON.stringify(made.channel).includes(secret ?? "password"));
  });
}

const BAD: [string, Record<string, unknown>, Partial<typeof ALL> & { kinds?: string[] }][] = [
  ["a header in an address", { ...MAIL, from: "a@test\r\nBcc: c@test" }, {}],
  ["two addresses in one", { ...MAIL, to: ["b@test,c@test"] }, {}],
  ["an address with a name", { ...MAIL, to: ["Bob <b@test>"] }, {}],
  ["no receiver", { ...MAIL, to: [] }, {}],
  ["a host with a space", { ...MAIL, host: "mail test" }, {}],
  ["a password in the clear", { ...MAIL, user: "u", password: "p", security: "none" }, {}],
  ["a password of nobody", { ...MAIL, password: "p" }, {}],
  ["another kind of security", { ...MAIL, security: "ssl" }, {}],
  ["a webhook without a URL", { type: "json" }, {}],
  ["a URL that isn't private", { type: "json", url: "http://chat.test/x" }, {}],
  ["another scheme", { type: "json", url: "file:///etc/shadow" }, {}],
  ["another type", { type: "irc", url: "https://chat.test/x" }, {}],
  ["a severity that is none", { type: "json", url: "https://x.test" }, { minSeverity: "fatal" }],
  ["a kind that is none", { type: "json", url: "https://x.test" }, { kinds: ["etc"] }],
];
for (const [what, more, choice] of BAD) {
  test(`a channel is refused with ${what}, without its secret in the message`, () => {
    assert.throws(
      () => makeChannel(readChannel("ops", { ...ALL, ...choice }, more)),
      (error) =>
        (isFault(error, "cli.option") || isFault(error, "alerts.channel")) &&
        !/chat\.test|shadow/.test([error.message, ...error.hints].join()),
    );
  });
}

const SHOWN: AlertsShown = {
  channels: [
    {
      name: "ops",
      type: "mail",
      minSeverity: "critical",
      except: ["puppetdb"],
      host: "mail.test",
      from: "a@test",
      to: ["b@test"],
      hasSecret: false,
      waiting: 3,
      failures: 4,
      because: "it\u001b[31m refuses",
      dropped: 1,
    },
  ],
  alerts: [
    {
      kind: "edge-down",
      subject: "s2",
      severity: "critical",
      text: "s2's edge is down",
      since: "2026-11-20T12:00:00.000Z",
      flapping: true,
    },
  ],
  failedRunsEveryS: 3600,
  because: "",
};

test("renderAlerts shows each channel with how it fares, and what is raised", () => {
  const text = renderAlerts(SHOWN);
  assert.match(
    text,
    /^ops +mail +b@test by mail\.test:587 +critical not puppetdb +takes nothing, 3 wait, 1 given up: it\\u\{1b\}\[31m refuses$/m,
  );
  assert.match(text, /^! critical since 2026-11-20 12:00, comes and goes: s2's edge is down$/m);
  assert.match(text, /told at most every 1h/);
  assert.match(text, /, but no channel takes them \(warnings of the kind agents-failed\)\.$/m);
  const channels = SHOWN.channels.map((one) => {
    return { ...one, waiting: 0, dropped: 0, minSeverity: "warning" as const };
  });
  const other = renderAlerts({ ...SHOWN, channels });
  assert.match(other, / takes not all: it/);
  assert.match(other, /told at most every 1h\.$/m);
  assert.match(renderAlerts({ ...SHOWN, because: "no quorum" }), / not known$/m);
  assert.match(renderAlerts({ channels: [], alerts: [], because: "x" }), /^Alerts go nowhere/);
});
