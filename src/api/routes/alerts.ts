// Where alerts go. A channel decides who learns what is wrong here, so that setting one is an
// admin's; trying one is an operator's. Hooks are files of a server: running them is root's.

import {
  AlertsShown,
  AlertTest,
  AlertTested,
  ChannelWish,
  FailedRunsWish,
  HookList,
  HooksTest,
  HooksTested,
} from "../../setup/alerts-contract.ts";
import { route } from "../route.ts";

export const alertRoutes = [
  route({
    method: "GET",
    path: "/v1/alerts",
    offer: "viewer",
    summary: "where alerts go, and which are raised",
    answer: AlertsShown,
    run: async (deps) => deps.alerts.show(),
  }),
  route({
    method: "POST",
    path: "/v1/alerts/channels",
    offer: "admin",
    summary: "send alerts by mail or to a webhook; its password or URL is never shown again",
    body: ChannelWish,
    answer: AlertsShown,
    about: ({ body }) => `${body.name} (${body.type})`,
    run: async (deps, { body }) => deps.alerts.add(body),
  }),
  route({
    method: "DELETE",
    path: "/v1/alerts/channels/:name",
    offer: "admin",
    summary: "send no more alerts there",
    answer: AlertsShown,
    run: async (deps, { params }) => deps.alerts.remove(params.name),
  }),
  route({
    method: "POST",
    path: "/v1/alerts/test",
    offer: "operator",
    summary: "send a test to one channel, or to all",
    body: AlertTest,
    answer: AlertTested,
    about: ({ body }) => body.channel ?? "",
    run: async (deps, { body }) => deps.alerts.test(body),
  }),
  route({
    method: "POST",
    path: "/v1/alerts/failed-runs",
    offer: "admin",
    summary: "tell of agents' failed runs, at most so often, or no more",
    body: FailedRunsWish,
    answer: AlertsShown,
    about: ({ body }) => (body.everyS === undefined ? "off" : `every ${body.everyS} s`),
    run: async (deps, { body }) => deps.alerts.failedRuns(body),
  }),
  route({
    method: "GET",
    path: "/v1/hooks",
    offer: "viewer",
    summary: "this server's hooks, and what the last run of each came to",
    answer: HookList,
    run: async (deps) => deps.hooks.list(),
  }),
  route({
    method: "POST",
    path: "/v1/hooks/test",
    offer: "root",
    summary: "run this server's hooks on an event that is a test",
    body: HooksTest,
    answer: HooksTested,
    about: ({ body }) => body.event,
    run: async (deps, { body }) => deps.hooks.test(body),
  }),
];
