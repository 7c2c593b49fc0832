// Sessions that end or come apart while a browser has the page open.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { openStage, signIn, type Stage } from "./browser.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => stage.close());
afterEach(async () => stage.closePages());

test("a browser that has the cookie alone, or with another session's secret, asks to sign in again", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/servers" });
  await page.evaluate("localStorage.clear()");
  await page.reload();
  await signIn(page, mock.tokens.operator);
  await page.evaluate(`localStorage.setItem("understudy-csrf", "${"x".repeat(43)}")`);
  await page.reload();
  await page.getByRole("button", { name: "Drain s3.example.com", exact: true }).click();
  const dialog = page.getByRole("dialog", { name: "Drain s3.example.com" });
  await dialog.getByRole("button", { name: "Drain", exact: true }).click();
  await dialog.getByText("Load this page anew").waitFor();
  assert.deepEqual(mock.state.drains, []);
  await page.reload();
  await page.getByLabel("Access token").waitFor();
});

test("a session that ended elsewhere asks to sign in again", async () => {
  const { mock } = stage;
  const token = mock.addToken("brief", "viewer", 3650 * 86_400_000);
  const { page } = await stage.open({ token });
  await page.getByText("brief (viewer)").waitFor();
  mock.list.tokens = mock.list.tokens.filter(({ name }) => name !== "brief");
  await page.getByLabel("Access token").waitFor();
  await page.getByText("The session has ended").waitFor();
});

test("a change whose answer is lost may be done or not, and that is said even where the session goes with it", async () => {
  const { mock } = stage;
  const token = mock.addToken("cut", "operator", 3650 * 86_400_000);
  const { page } = await stage.open({ token, path: "/certificates" });
  await page.route("**/v1/ca/sign", async (route) => {
    await route.fetch();
    await route.abort();
  });
  await page.getByRole("button", { name: "Sign db7.example.com" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "may be done or not" }).waitFor();
  const signed = mock.state.entries.find(({ name }) => name === "db7.example.com");
  assert.equal(signed?.state, "signed");
  // As when the member's daemon was killed.
  mock.list.tokens = mock.list.tokens.filter(({ name }) => name !== "cut");
  await page.getByLabel("Access token").waitFor();
  await page.getByRole("alert").filter({ hasText: "may be done or not" }).waitFor();
  await signIn(page, mock.tokens.viewer);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Access token").waitFor();
  assert.equal(await page.getByRole("alert").count(), 0);
});

test("signing out: a session that is over is out, and one that can't be ended is told", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.viewer });
  let answer: "none" | "over" = "none";
  await page.route("**/session", async (route) => {
    const error = { code: "access.required", message: "an access token is needed" };
    if (answer === "none") await route.abort();
    else await route.fulfill({ status: 401, json: { error } });
  });
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("alert").filter({ hasText: "This member doesn't answer." }).waitFor();
  answer = "over";
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Access token").waitFor();
  await page.waitForFunction("localStorage.length === 0");
});
