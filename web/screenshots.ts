// npm run screenshots: the pictures of docs/dashboard.md, of the dashboard in front of the mock.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { ensureBrowser } from "../scripts/browser.ts";
import { renderFault } from "../src/base/fault.ts";
import { buildDashboard } from "./build.ts";
import { type Mock, openStage } from "./test/browser.ts";

const FOLDER = join(import.meta.dirname, "..", "docs", "images");
const SIZE = { width: 1100, height: 640 };
/** Looks that a chart needs to look like one. */
const CHART_LOOKS = 40;

interface Picture {
  name: string;
  path: string;
  dark?: boolean;
  phone?: boolean;
  /** What is done before it is taken. */
  act?: (page: Page) => Promise<void>;
}

const PICTURES: readonly Picture[] = [
  { name: "overview", path: "/" },
  {
    name: "servers",
    path: "/servers",
    dark: true,
    async act(page) {
      await page
        .getByRole("img", { name: /^JRubies busy/ })
        .locator("canvas")
        .waitFor();
      for (let look = 0; look < CHART_LOOKS; look += 1) await page.waitForTimeout(100);
    },
  },
  {
    name: "revoke",
    path: "/certificates",
    async act(page) {
      await page.getByRole("button", { name: "Revoke web3.example.com" }).click();
      await page.getByRole("dialog").getByRole("textbox").fill("web3.exam");
    },
  },
  { name: "phone", path: "/", phone: true, dark: true },
];

function tellStory({ state, tell }: Mock): void {
  tell("member", "s3.example.com is set up: join went through", "root");
  tell("address", "10.0.0.10 is held by s1.example.com", "keepalived");
  tell("work", "s2.example.com is drained", "otto");
  tell("work", "s2.example.com is undrained", "otto");
  tell("revocation", "1 certificate was revoked", "ada");
  state.silent.add("s3.example.com");
  tell("member", "s3.example.com doesn't answer");
}

async function takeAll(): Promise<void> {
  await ensureBrowser(console.log);
  await buildDashboard();
  await mkdir(FOLDER, { recursive: true });
  const stage = await openStage();
  try {
    tellStory(stage.mock);
    for (const { name, path, act, dark = false, phone = false } of PICTURES) {
      const token = stage.mock.tokens.admin;
      const size = phone ? { width: 390, height: 780 } : SIZE;
      const { page } = await stage.open({ token, path, dark, phone, size });
      await page.getByRole("table").first().waitFor();
      await act?.(page);
      await page.screenshot({ path: join(FOLDER, `${name}.png`) });
      await page.context().close();
      console.log(`docs/images/${name}.png`);
    }
  } finally {
    await stage.close();
  }
}

try {
  await takeAll();
} catch (error) {
  console.error(renderFault(error));
  process.exitCode = 1;
}
