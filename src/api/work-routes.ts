// The routes of planned work behind the daemon's root-only socket.

import type { Hono } from "hono";
import {
  type DrainAnswer,
  DrainName,
  type DrainPlan,
  type DrainProgress,
  DrainWish,
  type PauseAnswer,
  PauseWish,
  ResumeWish,
  type RollAnswer,
  RollMeant,
  type RollPlan,
  type RollStarted,
  RollWish,
  StopRoll,
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

/** Puppetservers that restart one after another. */
export interface RollCommands {
  /** What it will mean; asked before it begins. */
  plan(wish: Pick<RollWish, "names" | "rest">): Promise<RollPlan>;
  begin(wish: RollWish): Promise<RollStarted>;
  /** The newest one, as the record has it now. */
  show(): Promise<RollAnswer>;
  /** It ends when the server under way is back. */
  stop(by: string): Promise<RollAnswer>;
}

/** What Understudy is to leave alone for a while. */
export interface PauseCommands {
  pause(wish: PauseWish): Promise<PauseAnswer>;
  /** Answers with what was paused. */
  resume(wish: ResumeWish): Promise<PauseAnswer>;
}

/** Work that an administrator plans. */
export interface WorkCommands {
  pauses: PauseCommands;
  drains: DrainCommands;
  roll: RollCommands;
}

export function addWorkRoutes(app: Hono, { drains, roll, pauses }: WorkCommands): void {
  app.post("/v1/pauses", async (c) => c.json(await pauses.pause(await readBody(PauseWish, c.req))));
  app.post("/v1/pauses/end", async (c) => {
    return c.json(await pauses.resume(await readBody(ResumeWish, c.req)));
  });
  app.post("/v1/roll/plan", async (c) => {
    return c.json(await roll.plan(await readBody(RollMeant, c.req)));
  });
  app.post("/v1/roll", async (c) => c.json(await roll.begin(await readBody(RollWish, c.req))));
  app.get("/v1/roll", async (c) => c.json(await roll.show()));
  app.post("/v1/roll/stop", async (c) => {
    return c.json(await roll.stop((await readBody(StopRoll, c.req)).by));
  });
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
