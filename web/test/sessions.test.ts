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
});
