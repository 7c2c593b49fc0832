// What the page does where an answer is lost, or comes when something else is shown by then.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { openStage, show, signIn, type Stage } from "./browser.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => stage.close());
afterEach(async () => stage.closePages());
beforeEach(() => {
  stage.mock.state.hangs = false;
  stage.mock.state.silent.clear();
  stage.mock.state.broken = "";
});

test("the history: what couldn't be read when it was told is read with the next, and nothing is left out", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer, path: "/history" });
  const cell = (what: string) => page.getByRole("cell", { name: what, exact: true });
  mock.tell("edge", "before");
  await cell("before").waitFor();
  await page.route("**/v1/history?*", async (route) => route.abort());
  await show(page, false);
  // More than the stream tells of at once.
  for (let n = 1; n <= 60; n++) mock.tell("edge", `unseen ${n}`);
  await show(page, true);
  await page.getByRole("alert").filter({ hasText: "This member doesn't answer." }).waitFor();
  await page.unroute("**/v1/history?*");
  mock.tell("edge", "after");
  await cell("after").waitFor();
  await cell("unseen 1").waitFor();
  await page.getByRole("alert").waitFor({ state: "detached" });
});

test("drills: what is held is what was shown, whatever has been chosen meanwhile", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/drills" });
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/v1/drill/plan", async (route) => {
    await answered;
    await route.continue();
  });
  await page.getByLabel("Kind").selectOption("edge-kill");
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await page.getByLabel("Kind").selectOption("puppetserver-kill");
  answer();
  const dialog = page.getByRole("dialog", { name: "edge-kill at s2.example.com" });
  await dialog.getByRole("textbox").fill("edge-kill");
  await dialog.getByRole("button", { name: "Hold it" }).click();
  await page.getByRole("log").waitFor();
  mock.drills.end();
  await page.getByRole("log").waitFor({ state: "detached" });
  assert.equal(mock.drills.reports[0]?.kind, "edge-kill");
});

test("a stream that says nothing for long is opened anew: a server that lost power ends none", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer });
  const standing = page.getByRole("status").first();
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
  mock.state.hangs = true;
  await until("a look hangs", () => mock.state.hanging, { withinMs: 10_000 });
  const again = page.waitForRequest("**/v1/events");
  await page.evaluate("Date.now = ((now) => () => now() + 60_000)(Date.now)");
  await standing.filter({ hasText: "This member says nothing." }).waitFor();
  await again;
  mock.state.hangs = false;
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
});

test("settings: a text that was no JSON when somebody else's change came is put over it as soon as it is", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.admin, path: "/settings" });
  const text = page.getByRole("textbox");
  const mine = (await text.inputValue()).replace('"serve"', '"refuse"');
  await text.fill("{");
  const { settings } = await mock.commands.config.show();
  const asked = page.waitForResponse("**/v1/config");
  const other = { ...settings, puppetdbNodeTtlS: 86_400 };
  await mock.commands.config.change({ revision: mock.state.revision, settings: other });
  await asked;
  await text.fill(mine);
  await page.getByRole("button", { name: "Show what would change" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText('isolatedEdge: "serve" → "refuse"').waitFor();
  assert.equal(await dialog.getByRole("listitem").count(), 1);
});

test("settings: what others change is seen without loading anything, and what was typed stays over it", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.admin, path: "/settings" });
  const text = page.getByRole("textbox");
  await text.fill((await text.inputValue()).replace('"serve"', '"refuse"'));
  const { settings } = await mock.commands.config.show();
  const other = { ...settings, otherNames: ["new.example.com"] };
  await mock.commands.config.change({ revision: mock.state.revision, settings: other });
  await until(
    "both are in the text",
    async () =>
      /new\.example\.com[^]*refuse|refuse[^]*new\.example\.com/.test(await text.inputValue()),
    { withinMs: 20_000 },
  );
  mock.state.broken = "1 of 3 members answers";
  await page.reload();
  await page.getByText("As last read: 1 of 3 members answers").waitFor();
  mock.state.broken = "";
  await page.getByText("As last read:").waitFor({ state: "detached" });
});

test("signing out of one's own accord leaves nothing behind for whoever comes next", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  await page.route("**/v1/ca/sign", async (route) => route.abort());
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "may be done or not" }).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Access token").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("a sign-out that failed is told until somebody has signed in anew", async () => {
  const { mock } = stage;
  const token = mock.addToken("short", "viewer", 3650 * 86_400_000);
  const { page } = await stage.open({ token });
  await page.route("**/session", async (route) => {
    if (route.request().method() === "DELETE") await route.abort();
    else await route.continue();
  });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("alert").filter({ hasText: "This member doesn't answer." }).waitFor();
  mock.list.tokens = mock.list.tokens.filter(({ name }) => name !== "short");
  await signIn(page, mock.tokens.viewer);
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("a page that was signed out of in another tab doesn't say that something has failed", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer });
  const other = await page.context().newPage();
  await other.goto(mock.url);
  await other.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("The session has ended: in another tab,").waitFor();
});

test("servers: one that is switched off for planned work is still shown as drained, and can be undrained", async () => {
  const { mock } = stage;
  const id = "s3.example.com";
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/servers" });
  await mock.commands.work.drains.drain({ name: id, reason: "", force: false }, "otto");
  mock.state.silent.add(id);
  await page.getByRole("cell", { name: "no answer: no answer in time (drained)" }).waitFor();
  await page.getByRole("button", { name: `Undrain ${id}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Undrain", exact: true }).click();
  await page.getByRole("button", { name: `Drain ${id}`, exact: true }).waitFor();
  assert.deepEqual(mock.state.drains, []);
});

test("who can't see the page is at what came of it, also where a busy browser paints late", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  await page.getByRole("button", { name: "Sign db7.example.com" }).click();
  const sign = page.getByRole("dialog").getByRole("button", { name: "Sign", exact: true });
  await sign.waitFor();
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/v1/ca?*limit=200", async (route) => {
    await answered;
    await route.continue().catch(() => undefined);
  });
  // Looks come meanwhile, so that the page is drawn again before it is painted.
  await page.evaluate(`requestAnimationFrame = () => 0;
    setTimeout = ((real) => (run, ms) => real(run, Math.max(ms ?? 0, 1000)))(setTimeout)`);
  await sign.click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  const focused = async () => page.evaluate<string>("document.activeElement.textContent");
  const isTold = async () => (await focused()) === "db7.example.com is signed.";
  await until("it has the focus", isTold, { withinMs: 10_000 });
  // Painted by then.
  await page.evaluate("new Promise((done) => setTimeout(() => setTimeout(done)))");
  answer();
  await page.getByRole("button", { name: "Sign db7.example.com" }).waitFor({ state: "detached" });
  assert.equal(await isTold(), true);
});

test("PuppetDB: couriers of members that don't answer aren't taken for none", async () => {
  const { mock } = stage;
  const { silent } = mock.state;
  for (const id of ["s1.example.com", "s2.example.com", "s3.example.com"]) silent.add(id);
  const { page } = await stage.open({ token: mock.tokens.viewer, path: "/puppetdb" });
  await page.getByText("None of the 3 members with a courier answers.").waitFor();
  assert.equal(await page.getByText("understudy puppetdb enable").count(), 0);
  silent.clear();
  await page.getByRole("table", { name: "Couriers" }).waitFor();
});
