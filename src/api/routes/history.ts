// What happened, and why something is so. Anybody who may look may know it.

import { Incident } from "../../cluster/history/incident.ts";
import { Explanation } from "../../cluster/why/explain.ts";
import { HistoryAnswer, HistoryWish, IncidentWish, WhyWish } from "../../setup/history-contract.ts";
import { route } from "../route.ts";

/** Over the network a part at a time: entries at once. */
const ENTRIES_AT_ONCE = 1000;
/** The same of a timeline: its newest lines. */
const LINES_AT_ONCE = 2000;

export const historyRoutes = [
  route({
    method: "GET",
    path: "/v1/history",
    offer: "viewer",
    summary: "what happened in the cluster, newest last",
    query: HistoryWish,
    answer: HistoryAnswer,
    bound: (query) => ({ ...query, limit: Math.min(query.limit, ENTRIES_AT_ONCE) }),
    run: async (deps, { query }) => deps.history(query),
  }),
  route({
    method: "GET",
    path: "/v1/why",
    offer: "viewer",
    summary: "why something is so: what members say, planned and saw",
    query: WhyWish,
    answer: Explanation,
    single: true,
    run: async (deps, { query }) => deps.why(query.about),
  }),
  route({
    method: "GET",
    path: "/v1/incident",
    offer: "viewer",
    summary: "one timeline of what all members recorded",
    query: IncidentWish,
    answer: Incident,
    bound: (query) => ({ ...query, limit: Math.min(query.limit, LINES_AT_ONCE) }),
    single: true,
    run: async (deps, { query }) => deps.incident(query),
  }),
];
