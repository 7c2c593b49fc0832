// What the page shows while nothing new comes: it says how old it is, and comes back by itself.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Page } from "playwright-core";
import { until } from "../../src/base/retry.ts";
import { openStage, show, type Stage } from "./browser.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => stage.close());
afterEach(async () => stage.closePages());
beforeEach(() => {
  const { state } = stage.mock;
  state.silent.clear();
  state.trouble = "";
  state.hangs = false;
});

async function passTime(page: Page, ms: number): Promise<void> {
  await page.evaluate(`Date.now = ((now) => () => now() + ${ms})(Date.now)`);
}

test("a page that nobody sees lets go of its stream, and has what is so when it is seen again", async () => {
  const { mock } = stage;
  const { events } = mock.commands;
  const { page, problems } = await stage.open({ token: mock.tokens.viewer });
  await page.getByText("Every promise holds. 3 of 3 members answer.").waitFor();
  const others = events.size() - 1;
  await show(page, false);
  await until("its stream is gone", () => events.size() <= others, { withinMs: 10_000 });
  mock.state.silent.add("s3.example.com");
  await show(page, true);
  await page.getByText("2 of 3 members answer.").waitFor();
  assert.deepEqual(problems, []);
});

test("what is shown is never passed for new: a member that falls silent, or that knows nothing", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer });
  const standing = page.getByRole("status").first();
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
  mock.state.trouble = "no reading of the record yet";
  const known = "Nothing is known: no reading of the record yet. What is shown is from";
  await standing.filter({ hasText: known }).waitFor();
  await page
    .getByRole("region", { name: "What would it survive?" })
    .getByText("Not known", { exact: true })
    .waitFor();
  mock.state.trouble = "";
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
  mock.state.hangs = true;
  await until("a look hangs", () => mock.state.hanging, { withinMs: 10_000 });
  // A minute goes by.
  await passTime(page, 60_000);
  await standing.filter({ hasText: "This member says nothing. What is shown is from" }).waitFor();
  await page.getByRole("table", { name: "Members" }).waitFor();
  mock.state.hangs = false;
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
});

test("a page that is seen again says how old it is, not since when it is seen again", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer });
  const standing = page.getByRole("status").first();
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
  await show(page, false);
  const hiddenMs = Date.now();
  mock.state.hangs = true;
  await passTime(page, 3_600_000);
  await show(page, true);
  const told = standing.filter({ hasText: "This member says nothing. What is shown is from" });
  await told.waitFor();
  const [at = ""] = /\d{4}-\d\d-\d\d [\d:]+/.exec((await told.textContent()) ?? "") ?? [];
  assert.ok(Date.parse(at) <= hiddenMs, `${at} is after ${new Date(hiddenMs).toISOString()}`);
  // The answer that is read first isn't the one of an hour ago.
  const fine = page.getByRole("region", { name: "Is it fine?" });
  await fine.getByText("Not known", { exact: true }).waitFor();
  assert.equal(await fine.getByText("Yes", { exact: true }).count(), 0);
  mock.state.hangs = false;
  await fine.getByText("Yes", { exact: true }).waitFor();
});

test("what happened is so long ago as it is by now, also when nothing else happens", async () => {
  const { mock } = stage;
  mock.tell("member", "s3.example.com is set up");
  const { page } = await stage.open({ token: mock.tokens.viewer });
  const entry = page.getByRole("region", { name: "What changed?" }).getByRole("listitem").first();
  await entry.filter({ hasText: "s3.example.com is set up" }).waitFor();
  await passTime(page, 2 * 3_600_000);
  await entry.filter({ hasText: /2h( \d+[ms])? ago/ }).waitFor();
});

test("a stream that is refused is told with the member's own reason, and comes as soon as it may", async () => {
  const { mock } = stage;
  const token = mock.tokens.operator;
  const streams = await Promise.all(
    Array.from({ length: 8 }, async () => mock.open("/v1/events", { token })),
  );
  const { page } = await stage.open({ token });
  const standing = page.getByRole("status").first();
  await standing
    .filter({ hasText: "Nothing is known: otto has 8 streams of events open" })
    .waitFor();
  for (const stream of streams) stream.close();
  await standing.filter({ hasText: "tolerates 1 failure" }).waitFor();
});
