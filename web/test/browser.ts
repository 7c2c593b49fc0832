// A browser with the dashboard in it, in front of the mock, and what every test of it asks.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { launchBrowser } from "../../scripts/browser.ts";
import { startMock } from "../mock/serve.ts";

/** A machine under load is slow; nothing here takes a second. */
const WAIT_MS = 20_000;
const LOOK_MS = 100;
const PHONE = { width: 390, height: 800 };

export type Mock = Awaited<ReturnType<typeof startMock>>;

export interface Opened {
  page: Page;
  /** What the page failed at, and what its policy has stopped. */
  problems: string[];
}

export interface Stage {
  mock: Mock;
  /** The page at a path, signed in with `token` where there is one. */
  open(options?: {
    token?: string;
    path?: string;
    phone?: boolean;
    dark?: boolean;
    size?: { width: number; height: number };
  }): Promise<Opened>;
  /** Closes every page: streams of one token are few. */
  closePages(): Promise<void>;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const mock = await startMock({ lookMs: LOOK_MS });
  let browser: Browser;
  try {
    browser = await launchBrowser();
  } catch (error) {
    await mock.close();
    throw error;
  }
  return {
    mock,
    async open({ token, path = "/", phone = false, dark = false, size } = {}) {
      const options: BrowserContextOptions = {
        ignoreHTTPSErrors: true,
        colorScheme: dark ? "dark" : "light",
        viewport: size ?? (phone ? PHONE : { width: 1280, height: 900 }),
      };
      const context = await browser.newContext(options);
      context.setDefaultTimeout(WAIT_MS);
      const page = await context.newPage();
      const problems = watch(page, mock.url);
      await page.goto(`${mock.url}/#${path}`);
      if (token !== undefined) await signIn(page, token);
      return { page, problems };
    },
    async closePages() {
      await Promise.all(browser.contexts().map(async (context) => context.close()));
    },
    async close() {
      await browser.close();
      await mock.close();
    },
  };
}

export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel("Access token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** Has the page think that another tab is in front of it, or no longer. */
export async function show(page: Page, shown: boolean): Promise<void> {
  await page.evaluate(`Object.defineProperty(document, "hidden", { value: ${!shown}, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"))`);
}

function watch(page: Page, url: string): string[] {
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("dialog", (dialog) => {
    problems.push(`a script ran: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on("console", (message) => {
    // That nobody is signed in yet is asked at every start.
    const text = message.text();
    if (message.type() === "error" && !/status of 401/.test(text)) problems.push(text);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${url}/`)) problems.push(`asked ${request.url()}`);
  });
  return problems;
}

interface Violation {
  id: string;
  help: string;
  nodes: { html: string }[];
}

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Throws where axe finds something in the way of who can't see the page. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(AXE);
  const found = await page.evaluate<Violation[]>(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  );
  const told = found.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0]?.html ?? ""}`);
  assert.deepEqual(told, [], what);
}
