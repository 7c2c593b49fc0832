// What the routes of planned work need of the daemon. `by`: who asks, as the record keeps it.

import type {
  DrainAnswer,
  DrainPlan,
  DrainProgress,
  DrainWish,
  PauseAnswer,
  PauseWish,
  ResumeWish,
  RollAnswer,
  RollMeant,
  RollPlan,
  RollStarted,
  RollWish,
  UpgradeMeant,
  UpgradePlan,
  UpgradeWish,
} from "../setup/work-contract.ts";

/** Members that edges are to give nothing new. `name`: whole, or its beginning. */
export interface DrainCommands {
  /** What it will mean; asked before it is done. */
  plan(name: string): Promise<DrainPlan>;
  drain(wish: DrainWish, by: string): Promise<DrainAnswer>;
  /** Answers with the drain that was in force. */
  undrain(name: string, by: string): Promise<DrainAnswer>;
  progress(name: string): Promise<DrainProgress>;
}

/** Puppetservers that restart one after another. */
export interface RollCommands {
  /** What it will mean; asked before it begins. */
  plan(wish: RollMeant): Promise<RollPlan>;
  begin(wish: RollWish, by: string): Promise<RollStarted>;
  /** The newest one, as the record has it now. */
  show(): Promise<RollAnswer>;
  /** It ends when the server under way is back. */
  stop(by: string): Promise<RollAnswer>;
}

/** Packages that are upgraded on one server after another; shown and stopped as any roll. */
export interface UpgradeCommands {
  /** What it will mean; asked before it begins. */
  plan(wish: UpgradeMeant): Promise<UpgradePlan>;
  begin(wish: UpgradeWish, by: string): Promise<RollStarted>;
}

/** What Understudy is to leave alone for a while. */
export interface PauseCommands {
  pause(wish: PauseWish, by: string): Promise<PauseAnswer>;
  /** Answers with what was paused. */
  resume(wish: ResumeWish, by: string): Promise<PauseAnswer>;
}

/** Work that an administrator plans. */
export interface WorkCommands {
  drains: DrainCommands;
  roll: RollCommands;
  upgrade: UpgradeCommands;
  pauses: PauseCommands;
}
