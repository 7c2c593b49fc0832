// Planned work: drains, restarts in turn, pauses.

import {
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
} from "../../setup/work-contract.ts";
import { route } from "../route.ts";

/** Who asks, as status names him: "alice" of "root (alice)", else a token's name. */
export function byOf(who: string): string {
  return /^root \((.+)\)$/.exec(who)?.[1] ?? who;
}

/** A drain with what became of its addresses, for the history. */
function tellDrain({ id, handedOver }: DrainAnswer): string {
  if (handedOver === undefined) return id;
  const { to, addresses, connections, breaks } = handedOver;
  const names = addresses.join(" and ");
  if (breaks !== "") return `${id}: open connections to ${names} break: ${breaks}`;
  return `${id}: ${names} to ${to}, ${connections} open connections go on`;
}

const drainRoutes = [
  route({
    method: "GET",
    path: "/v1/drains/:name/plan",
    offer: "viewer",
    summary: "what draining a member means",
    answer: DrainPlan,
    run: async (deps, { params }) => deps.work.drains.plan(params.name),
  }),
  route({
    method: "GET",
    path: "/v1/drains/:name",
    offer: "viewer",
    summary: "how far a member is drained",
    answer: DrainProgress,
    run: async (deps, { params }) => deps.work.drains.progress(params.name),
  }),
  route({
    method: "POST",
    path: "/v1/drains",
    offer: "operator",
    summary: "give a member no new work",
    body: DrainWish,
    answer: DrainAnswer,
    about: ({ body }) => body.name,
    aboutAnswer: tellDrain,
    run: async (deps, { body, who }) => deps.work.drains.drain(body, byOf(who)),
  }),
  route({
    method: "DELETE",
    path: "/v1/drains/:name",
    offer: "operator",
    summary: "give a drained member work again",
    answer: DrainAnswer,
    run: async (deps, { params, who }) => deps.work.drains.undrain(params.name, byOf(who)),
  }),
];

const rollRoutes = [
  route({
    method: "POST",
    path: "/v1/roll/plan",
    offer: "operator",
    summary: "what restarting puppetservers in turn means",
    body: RollMeant,
    answer: RollPlan,
    about: ({ body }) => body.names.join(" "),
    run: async (deps, { body }) => deps.work.roll.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/roll",
    offer: "operator",
    summary: "restart puppetservers one after another",
    body: RollWish,
    answer: RollStarted,
    about: ({ body }) => body.names.join(" "),
    run: async (deps, { body, who }) => deps.work.roll.begin(body, byOf(who)),
  }),
  route({
    method: "GET",
    path: "/v1/roll",
    offer: "viewer",
    summary: "the newest restart or upgrade of servers in turn",
    answer: RollAnswer,
    run: async (deps) => deps.work.roll.show(),
  }),
  route({
    method: "DELETE",
    path: "/v1/roll",
    offer: "operator",
    summary: "have it end when the server under way is back",
    answer: RollAnswer,
    run: async (deps, { who }) => deps.work.roll.stop(byOf(who)),
  }),
];

const upgradeRoutes = [
  route({
    method: "POST",
    path: "/v1/upgrade/plan",
    offer: "operator",
    summary: "what upgrading servers in turn means; has each read its archives' lists",
    body: UpgradeMeant,
    answer: UpgradePlan,
    about: ({ body }) => body.parts.join(" "),
    run: async (deps, { body }) => deps.work.upgrade.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/upgrade",
    offer: "admin",
    summary: "upgrade packages on one server after another",
    body: UpgradeWish,
    answer: RollStarted,
    about: ({ body }) => [...body.parts, ...body.names].join(" "),
    run: async (deps, { body, who }) => deps.work.upgrade.begin(body, byOf(who)),
  }),
];

const pauseRoutes = [
  route({
    method: "POST",
    path: "/v1/pauses",
    offer: "operator",
    summary: "have Understudy leave something alone for a while",
    body: PauseWish,
    answer: PauseAnswer,
    about: ({ body }) => body.scopes.join(" "),
    run: async (deps, { body, who }) => deps.work.pauses.pause(body, byOf(who)),
  }),
  route({
    method: "POST",
    path: "/v1/pauses/end",
    offer: "operator",
    summary: "end what is paused",
    body: ResumeWish,
    answer: PauseAnswer,
    about: ({ body }) => body.scopes.join(" "),
    run: async (deps, { body, who }) => deps.work.pauses.resume(body, byOf(who)),
  }),
];

export const workRoutes = [...drainRoutes, ...rollRoutes, ...upgradeRoutes, ...pauseRoutes];
