// Certificates in the browser: signing and revoking, and questions that are asked before.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { until } from "../../src/base/retry.ts";
import { assertAccessible, openStage, type Stage } from "./browser.ts";

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(async () => stage.close());
afterEach(async () => stage.closePages());
beforeEach(() => {
  stage.mock.state.broken = "";
});

test("certificates: a request is signed, one is found and revoked by typing its name", async () => {
  const { mock } = stage;
  const { page, problems } = await stage.open({ token: mock.tokens.admin, path: "/certificates" });
  await page.getByRole("button", { name: "Sign db7.example.com" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Sign", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "db7.example.com is signed." }).waitFor();
  await page.getByRole("button", { name: "Sign db7.example.com" }).waitFor({ state: "detached" });
  const focused = async () => page.evaluate<string>("document.activeElement.textContent");
  const isTold = async () => (await focused()) === "db7.example.com is signed.";
  await until("the focus isn't lost with the row", isTold, { withinMs: 10_000 });

  await page.getByLabel("Name").fill("web17.");
  await page.getByRole("button", { name: "Search" }).click();
  await page
    .getByRole("button", { name: "Revoke web16.example.com" })
    .waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Revoke web17.example.com" }).click();
  const dialog = page.getByRole("dialog", { name: "Revoke web17.example.com" });
  const revoke = dialog.getByRole("button", { name: "Revoke", exact: true });
  assert.equal(await revoke.isDisabled(), true);
  await assertAccessible(page, "the question before revoking");
  await dialog.getByRole("textbox").fill("web17.example.co");
  assert.equal(await revoke.isDisabled(), true);
  await dialog.getByRole("textbox").press("Enter");
  const found = mock.state.entries.find(({ name }) => name === "web17.example.com");
  assert.equal(found?.state, "signed");
  await dialog.getByRole("textbox").fill("web17.example.com");
  await revoke.click();
  await page
    .getByRole("status")
    .filter({ hasText: "web17.example.com is revoked, 3 edges" })
    .waitFor();
  assert.equal(found?.state, "revoked");
  assert.deepEqual(problems, []);
});

test("a change that can't be made says why, and leaves the question open", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  mock.state.broken = "1 of 3 members answers, so nothing can be changed";
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog
    .getByRole("alert")
    .filter({ hasText: "nothing can be changed. (etcd.no-quorum)" })
    .waitFor();
  mock.state.broken = "";
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Sign mail2.example.com" }).waitFor();
});

test("a question stays until what was asked for is done or has failed, and is no way to stop it", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  let fail = () => {};
  const failed = new Promise<void>((resolve) => (fail = resolve));
  await page.route("**/v1/ca/sign", async (route) => {
    await failed;
    await route.abort();
  });
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog.getByRole("button", { name: "Working…" }).waitFor();
  for (let n = 0; n < 3; n += 1) await page.keyboard.press("Escape");
  assert.equal(await dialog.getByRole("button", { name: "Cancel" }).isDisabled(), true);
  fail();
  await dialog.getByRole("alert").filter({ hasText: "may be done or not" }).waitFor();
  assert.equal(await page.evaluate("document.activeElement.textContent"), "Sign");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
});

test("certificates: what comes in and what somebody else does are seen without loading anything", async () => {
  const { mock } = stage;
  const { state } = mock;
  const { page, problems } = await stage.open({
    token: mock.tokens.operator,
    path: "/certificates",
  });
  await page.getByRole("button", { name: "Sign mail2.example.com" }).waitFor();
  const [one] = state.entries.filter((entry) => entry.name === "mail2.example.com");
  assert.ok(one);
  state.entries.push({ ...one, name: "new1.example.com" });
  await page.getByRole("button", { name: "Sign new1.example.com" }).click();
  // Somebody else was quicker.
  const found = state.entries.find((entry) => entry.name === "new1.example.com");
  assert.ok(found);
  found.state = "signed";
  const dialog = page.getByRole("dialog", { name: "Sign new1.example.com" });
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog.getByRole("alert").waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Sign new1.example.com" }).waitFor({ state: "detached" });
  assert.deepEqual(problems, []);
});

test("certificates: what a request asks for besides its name is seen before it is signed", async () => {
  const { mock } = stage;
  const request = mock.state.entries.find(({ name }) => name === "mail2.example.com");
  assert.ok(request);
  request.altNames = ["DNS:mail2.example.com", "DNS:mail.example.com"];
  request.extensions = { pp_auth_role: "db" };
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  const asks = "DNS:mail.example.com, pp_auth_role=db";
  await page.getByRole("cell", { name: asks, exact: true }).waitFor();
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  await page.getByRole("dialog").getByText(`It asks for more than its name: ${asks}`).waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  request.altNames = ["DNS:mail2.example.com"];
  request.extensions = {};
  await page.reload();
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  await page.getByText("Compare with what the agent shows").waitFor();
  assert.equal(await page.getByText("It asks for more").count(), 0);
});

test("certificates: another request than the one that was compared isn't signed", async () => {
  const { mock } = stage;
  const { page } = await stage.open({ token: mock.tokens.operator, path: "/certificates" });
  await page.getByRole("button", { name: "Sign mail2.example.com" }).click();
  const request = mock.state.entries.find(({ name }) => name === "mail2.example.com");
  assert.ok(request);
  request.fingerprint = "00:11:22";
  const dialog = page.getByRole("dialog", { name: "Sign mail2.example.com" });
  await dialog.getByRole("button", { name: "Sign", exact: true }).click();
  await dialog.getByRole("alert").filter({ hasText: "the fingerprint 00:11:22" }).waitFor();
  assert.equal(request.state, "requested");
  // Its count is as before, so that the list doesn't know of it.
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("00:11:22", { exact: true }).waitFor();
});
