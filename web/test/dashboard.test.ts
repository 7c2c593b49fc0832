// The dashboard in a real browser, by what somebody sees and does, under its own strict policy.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { pause, until } from "../../src/base/retry.ts";
import { assertAccessible, openStage, show, signIn, type Stage } from "./browser.ts";

const HOSTILE = `<img src=x onerror="alert('x')"><script>alert(1)</script>`;

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => stage.close());
afterEach(async () => stage.closePages());
beforeEach(() => {
  const { state } = stage.mock;
  state.warnings = [];
  state.silent.clear();
  state.drains = [];
  state.broken = "";
  state.trouble = "";
  state.hangs = false;
});

test("signing in: a wrong token is refused in words, a right one opens the overview, out is out", async () => {
  const { page, problems } = await stage.open();
  await page.getByLabel("Access token").fill("UA1.wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").filter({ hasText: "isn't known here" }).waitFor();
  await signIn(page, stage.mock.tokens.viewer);
  await page.getByRole("status").filter({ hasText: "tolerates 1 failure" }).waitFor();
  await page.getByRole("heading", { name: "What would it survive?" }).waitFor();
  // The cookie is enough for the next visit, and no script sees it.
  await page.reload();
  await page.getByText("vera (viewer)").waitFor();
  assert.equal(await page.evaluate("document.cookie"), "");
  // What is kept is the second secret, and neither the token nor the cookie's.
  const stored = await page.evaluate<string>("JSON.stringify([localStorage, sessionStorage])");
  assert.match(stored, /^\[\{"understudy-csrf":"[\w-]{43}"\},\{\}\]$/);
  assert.ok((await page.context().cookies()).every(({ value }) => !stored.includes(value)));
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Access token").waitFor();
  // A page that is left before the answer may leave the session open.
  await page.waitForFunction("localStorage.length === 0");
  await page.reload();
  await page.getByLabel("Access token").waitFor();
  assert.equal(await page.evaluate("localStorage.length"), 0);
  assert.deepEqual(problems, []);
});

test("the overview is live: a member that falls silent, a warning with its reasons, the news", async () => {
  const { page, problems } = await stage.open({ token: stage.mock.tokens.viewer });
  await page.getByText("Every promise holds. 3 of 3 members answer.").waitFor();
  stage.mock.state.silent.add("s2.example.com");
  stage.mock.tell("member", "s2.example.com doesn't answer");
  await page
    .getByRole("listitem")
    .filter({ hasText: "! critical: s2.example.com doesn't answer" })
    .waitFor();
  await page.getByText("2 of 3 members answer.").waitFor();
  await page.getByRole("row", { name: /s2\.example\.com server no answer/ }).waitFor();
  const news = page.getByRole("region", { name: "What changed?" });
  await news.getByText("s2.example.com doesn't answer").first().waitFor();
  await page.getByText("What to do", { exact: true }).first().click();
  await page.getByText("its daemon or the server is down").waitFor();
  await page.getByRole("button", { name: "Why?" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Why: s2.example.com" });
  await dialog.getByText("It is so.").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.deepEqual(problems, []);
});

test("the overview: a warning whose words change stays open, and what is critical is a no", async () => {
  const { state } = stage.mock;
  const { page, problems } = await stage.open({ token: stage.mock.tokens.viewer });
  const fine = page.getByRole("region", { name: "Is it fine?" });
  const warning = page.getByRole("region", { name: "To look at" }).getByRole("listitem");
  state.warnings = ["12 things wait"];
  await fine.getByText("1 thing", { exact: true }).waitFor();
  await warning.getByText("What to do", { exact: true }).click();
  await warning.getByRole("button", { name: "Why?" }).focus();
  state.warnings = ["13 things wait"];
  await warning.filter({ hasText: "13 things wait" }).waitFor();
  assert.equal(await warning.getByText("alerts.md").isVisible(), true);
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Why?");
  state.silent.add("s2.example.com");
  await fine.getByText("No", { exact: true }).waitFor();
  await fine.getByText(/^\d critical, 1 more to look at/).waitFor();
  await warning.first().filter({ hasText: "critical: s2.example.com" }).waitFor();
  assert.deepEqual(problems, []);
});

test("servers: live charts, and a server is drained and undrained by an operator", async () => {
  const { page, problems } = await stage.open({
    token: stage.mock.tokens.operator,
    path: "/servers",
  });
  const chart = page.getByRole("img", { name: /^Requests\/s, now: s1\.example\.com \d/ });
  await chart.locator("canvas").waitFor();
  const before = await chart.getAttribute("aria-label");
  const label = async () => page.locator("figure [role=img]").first().getAttribute("aria-label");
  await until("other figures", async () => (await label()) !== before, { withinMs: 10_000 });
  await page.getByRole("button", { name: "Drain s3.example.com", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Drain s3.example.com" });
  await dialog.getByText("gets nothing new").waitFor();
  await dialog.getByLabel("Reason").fill("kernel");
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await page.getByRole("button", { name: "Undrain s3.example.com" }).click();
  assert.deepEqual(
    stage.mock.state.drains.map(({ id, by, reason }) => [id, by, reason]),
    [["s3.example.com", "otto", "kernel"]],
  );
  await page.getByRole("dialog").getByRole("button", { name: "Undrain" }).click();
  await page.getByRole("button", { name: "Drain s3.example.com", exact: true }).waitFor();
  assert.deepEqual(problems, []);
});

test("drills: one is held by typing its kind, seen under way, and its report has figures", async () => {
  const { mock } = stage;
  const { page, problems } = await stage.open({ token: mock.tokens.operator, path: "/drills" });
  await page.getByText("no drill was held.").waitFor();
  await page.getByLabel("Kind").selectOption("edge-kill");
  await page.getByLabel("Server").selectOption("s3.example.com");
  await page.getByRole("button", { name: "Show what it would do" }).click();
  const dialog = page.getByRole("dialog", { name: "edge-kill at s3.example.com" });
  await dialog.getByText("s3.example.com: it is killed.").waitFor();
  await dialog.getByRole("textbox").fill("edge-kill");
  await dialog.getByRole("button", { name: "Hold it" }).click();
  await page.getByRole("log").getByText("it measures").waitFor();
  mock.drills.end();
  await page.getByRole("button", { name: /^Report of edge-kill/ }).click();
  const report = page.getByRole("dialog", { name: "edge-kill at s3.example.com" });
  await report.getByText(/^It went through/).waitFor();
  await report.getByRole("row", { name: /^no new connection/ }).waitFor();
  await report.locator("canvas").waitFor();
  await assertAccessible(page, "the report of a drill");
  await report.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await dialog.getByRole("textbox").fill("edge-kill");
  await dialog.getByRole("button", { name: "Hold it" }).click();
  await page.getByRole("button", { name: "Stop it, and undo it" }).click();
  await page.getByRole("row", { name: /stopped/ }).waitFor();
  assert.deepEqual(problems, []);
});

test("drills: one under way is seen over a slow line too, and nobody asks for it unseen", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/drills" });
  let asked = 0;
  await page.route("**/v1/drill", async (route) => {
    asked += 1;
    // Longer than between two looks.
    await pause(1500);
    await route.continue().catch(() => undefined);
  });
  await mock.commands.drills.begin({ kind: "edge-kill" }, "otto");
  await page.getByRole("log").getByText("it measures").waitFor();
  await show(page, false);
  let before = -1;
  await until("no more is asked", () => before === (before = asked), {
    withinMs: 20_000,
    everyMs: 4000,
  });
  await show(page, true);
  mock.drills.end();
  await page.getByRole("log").waitFor({ state: "detached" });
});

test("each role sees the buttons that are for it", async () => {
  const { tokens } = stage.mock;
  for (const [token, sign, revoke, drain, edit] of [
    [tokens.viewer, 0, 0, 0, 0],
    [tokens.operator, 1, 0, 3, 0],
    [tokens.admin, 1, 1, 3, 1],
  ] as const) {
    const { page } = await stage.open({ token, path: "/certificates" });
    const counted = async (name: RegExp) => page.getByRole("button", { name }).count();
    await page.getByRole("button", { name: "Show web1.example.com" }).waitFor();
    assert.equal(await counted(/^Sign mail2\./), sign);
    assert.equal(await counted(/^Revoke web1\./), revoke);
    await page.getByRole("link", { name: "Servers" }).click();
    await page.getByRole("button", { name: "Why is s1.example.com so?" }).waitFor();
    assert.equal(await counted(/^Drain /), drain);
    await page.getByRole("link", { name: "Drills" }).click();
    await page
      .getByText(/^Drills that were held/)
      .first()
      .waitFor();
    assert.equal(await counted(/^Show what it would do$/), Math.sign(drain));
    await page.getByRole("link", { name: "Settings" }).click();
    await page.getByRole("table", { name: "Settings of the cluster" }).waitFor();
    assert.equal(await counted(/^Show what would change$/), edit);
    await page.context().close();
  }
});

test("settings: a change is shown first; who comes second is told, and keeps his text", async () => {
  const { mock } = stage;
  const { page, problems } = await stage.open({ token: mock.tokens.admin, path: "/settings" });
  const text = page.getByRole("textbox");
  await text.fill((await text.inputValue()).replace('"serve"', '"refuse"'));
  await page.getByRole("button", { name: "Show what would change" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText('isolatedEdge: "serve" → "refuse"').waitFor();
  const other = { ...(await mock.commands.config.show()).settings, voters: 5 };
  await mock.commands.config.change({ revision: mock.state.revision, settings: other });
  await dialog.getByRole("button", { name: "Change", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "somebody else" }).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.match(await text.inputValue(), /"refuse"/);
  // His goes over the other's, and nothing of that is lost.
  await page.getByRole("button", { name: "Show what would change" }).click();
  await dialog.getByText('isolatedEdge: "serve" → "refuse"').waitFor();
  assert.equal(await dialog.getByRole("listitem").count(), 1);
  await dialog.getByRole("button", { name: "Change", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "The settings are changed." }).waitFor();
  const { settings } = await mock.commands.config.show();
  assert.deepEqual([settings.voters, settings.isolatedEdge], [5, "refuse"]);
  // The browser's own note of the refusal.
  assert.ok(
    problems.every((problem) => /status of 409/.test(problem)),
    problems.join(),
  );
});

test("scripts in names, reasons, warnings and history are shown as they are, and none runs", async () => {
  const { mock } = stage;
  mock.state.warnings = [`a reason: ${HOSTILE}`];
  mock.state.drains = [
    { id: "s1.example.com", by: HOSTILE, at: "2026-11-20T12:00:00.000Z", reason: HOSTILE },
  ];
  mock.tell("command", `did ${HOSTILE}`, HOSTILE);
  const hostile = { name: HOSTILE, altNames: [HOSTILE], fingerprint: HOSTILE, extensions: {} };
  const entries = mock.state.entries;
  mock.state.entries = [...entries, { ...hostile, state: "requested" }];
  const { page, problems } = await stage.open({ token: mock.tokens.admin });
  await page
    .getByRole("listitem")
    .filter({ hasText: `a reason: ${HOSTILE}` })
    .waitFor();
  await page.getByText(`did ${HOSTILE}`).first().waitFor();
  await page.getByRole("link", { name: "Certificates" }).click();
  await page.getByRole("rowheader", { name: HOSTILE }).waitFor();
  await page.getByRole("link", { name: "History" }).click();
  await page.getByRole("cell", { name: `did ${HOSTILE}` }).waitFor();
  await page.getByRole("button", { name: "Build it" }).click();
  await page
    .getByRole("table", { name: /^Timeline/ })
    .getByText(`did ${HOSTILE}`)
    .waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  mock.state.entries = entries;
  assert.deepEqual(problems, []);
});

test("ten thousand entries of history are a page that answers", async () => {
  const { mock } = stage;
  const before = mock.state.history.length;
  for (let n = 1; n <= 10_000; n++) mock.tell("puppetserver", `change ${n}`);
  const { page, problems } = await stage.open({ token: mock.tokens.viewer, path: "/history" });
  await page.getByRole("cell", { name: "change 10000", exact: true }).waitFor();
  await page.getByRole("button", { name: "Older ones" }).click();
  await page.getByRole("button", { name: "Build it" }).click();
  await page.getByRole("status").filter({ hasText: "the newest 2000 are shown" }).waitFor();
  mock.state.history.splice(before);
  assert.deepEqual(problems, []);
});

test("the history has all that comes while the page is open, seen or not", async () => {
  const { mock } = stage;
  const token = mock.tokens.viewer;
  const { page, problems } = await stage.open({ token, path: "/history" });
  const cell = (what: string) => page.getByRole("cell", { name: what, exact: true });
  mock.tell("edge", "before");
  await cell("before").waitFor();
  // More than the stream tells of at once.
  for (let n = 1; n <= 150; n++) mock.tell("edge", `burst ${n}`);
  await cell("burst 150").waitFor();
  for (let n = 1; n <= 40; n++) {
    mock.tell("edge", `one by one ${n}`);
    if (n % 20 === 0) await cell(`one by one ${n}`).waitFor();
  }
  await page.getByRole("button", { name: "Older ones" }).click();
  await cell("before").waitFor();
  const shown = await page.evaluate<string>("document.querySelector('table').textContent");
  for (let n = 1; n <= 150; n++) assert.match(shown, new RegExp(`burst ${n}(?!\\d)`));
  for (let n = 1; n <= 40; n++) assert.match(shown, new RegExp(`one by one ${n}(?!\\d)`));
  assert.deepEqual(problems, []);
});

test("every page is fit for screen readers and keyboards, dark and light, and fits a phone", async () => {
  const { mock } = stage;
  mock.state.silent.add("s2.example.com");
  mock.tell("daemon", "s1.example.com's daemon starts");
  for (const look of [{ dark: false }, { dark: true, phone: true }]) {
    const { page, problems } = await stage.open({ token: mock.tokens.admin, ...look });
    await page.getByText("What to do", { exact: true }).first().click();
    await assertAccessible(page, "overview");
    for (const title of ["Servers", "Certificates", "PuppetDB", "History", "Drills", "Settings"]) {
      await page.getByRole("link", { name: title, exact: true }).click();
      await page.getByRole("heading", { level: 1, name: title }).waitFor();
      const focused = "document.activeElement?.tagName + document.activeElement?.textContent";
      const isThere = async () => (await page.evaluate(focused)) === `H1${title}`;
      await until("the focus is where the page begins", isThere, { withinMs: 10_000 });
      assert.equal(await page.title(), `${title} - Understudy`);
      await page.getByRole("table").or(page.getByRole("textbox")).first().waitFor();
      await assertAccessible(page, title);
      const over = await page.evaluate<number>(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth",
      );
      assert.ok(over <= 0, `${title} is ${over} pixels wider than the screen`);
    }
    assert.deepEqual(problems, []);
    await page.context().close();
  }
});

test("other sites' pages can neither change nor read anything, in a browser that is signed in", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.admin });
  const before = JSON.stringify(mock.state.entries);
  const port = new URL(mock.url).port;
  // One elsewhere, and one on this very host: a cookie isn't bound to a port.
  for (const site of ["https://evil.test", `https://127.0.0.1:${Number(port) + 1}`]) {
    await page.context().route(`${site}/**`, async (route) => {
      await route.fulfill({ contentType: "text/html", body: attackOn(mock.url) });
    });
    const other = await page.context().newPage();
    await other.goto(`${site}/`);
    await other.waitForFunction(() => Reflect.get(globalThis, "outcome") !== undefined);
    const outcome = await other.evaluate<string[]>("globalThis.outcome");
    assert.deepEqual(
      outcome,
      Array.from({ length: outcome.length }, () => "blocked"),
      site,
    );
    assert.equal(outcome.length, 4);
    // A form's answer is shown, whatever it is: it must be a refusal.
    await other.evaluate("document.forms[0].submit()");
    await other.waitForURL(`${mock.url}/**`);
    const text = await other.evaluate<string>("document.body.textContent");
    assert.match(text, /access\.(cross-site|required)/, site);
    await other.close();
  }
  assert.equal(JSON.stringify(mock.state.entries), before);
  assert.deepEqual(mock.state.drains, []);
});

/** A page that tries all that a page can. */
function attackOn(url: string): string {
  const revoke = JSON.stringify({ names: ["web5.example.com"] });
  return `<form method="post" enctype="text/plain" action="${url}/v1/ca/revoke">
    <input name='{"names":["web5.example.com"],"x":"' value='"}'></form>
  <script>
    const tries = [
      fetch("${url}/v1/status", { credentials: "include" }),
      fetch("${url}/session", { credentials: "include" }),
      fetch("${url}/v1/ca/revoke", { method: "POST", credentials: "include", body: '${revoke}' }),
      fetch("${url}/v1/ca/revoke", {
        method: "POST", credentials: "include", body: '${revoke}',
        headers: { "x-understudy-csrf": "x", "content-type": "application/json" },
      }),
    ];
    Promise.all(tries.map((one) => one.then(() => "answered", () => "blocked")))
      .then((all) => (globalThis.outcome = all));
  </script>`;
}
