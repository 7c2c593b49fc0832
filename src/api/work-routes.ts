// The routes of planned work behind the daemon's root-only socket.

import type { Hono } from "hono";
import {
  type DrainAnswer,
  DrainName,
  type DrainPlan,
  type DrainProgress,
  DrainWish,
  UndrainWish,
} from "../setup/work-contract.ts";
import { readBody } from "./body.ts";

/** Members that edges are to give nothing new. `name`: whole, or its first label. */
export interface DrainCommands {
  /** What it will mean; asked before it is done. */
  plan(name: string): Promise<DrainPlan>;
  drain(wish: DrainWish): Promise<DrainAnswer>;
  /** Answers with the drain that was in force. */
  undrain(wish: UndrainWish): Promise<DrainAnswer>;
  progress(name: string): Promise<DrainProgress>;
}

export function addWorkRoutes(app: Hono, drains: DrainCommands): void {
  app.post("/v1/drains/plan", async (c) => {
    return c.json(await drains.plan((await readBody(DrainName, c.req)).name));
  });
  app.post("/v1/drains", async (c) => c.json(await drains.drain(await readBody(DrainWish, c.req))));
  app.post("/v1/drains/end", async (c) => {
    return c.json(await drains.undrain(await readBody(UndrainWish, c.req)));
  });
  app.post("/v1/drains/progress", async (c) => {
    return c.json(await drains.progress((await readBody(DrainName, c.req)).name));
  });
}
