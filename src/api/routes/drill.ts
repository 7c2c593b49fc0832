// Failures on purpose, and the synthetic agent.

import { Done } from "../../setup/contract.ts";
import {
  DrillAsk,
  DrillPlanAnswer,
  DrillProgress,
  DrillReportAnswer,
  DrillReports,
  DrillStarted,
  ProbeAnswer,
} from "../../setup/drill-contract.ts";
import { route } from "../route.ts";
import { byOf } from "./work.ts";

const ofWhat = ({ kind, server }: DrillAsk) =>
  server === undefined ? kind : `${kind} at ${server}`;

export const drillRoutes = [
  route({
    method: "POST",
    path: "/v1/drill/plan",
    offer: "operator",
    summary: "what a drill would mean, and whether it may be held now",
    body: DrillAsk,
    answer: DrillPlanAnswer,
    about: ({ body }) => ofWhat(body),
    run: async (deps, { body }) => deps.drills.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/drill",
    offer: "operator",
    summary: "break something on purpose, driven and measured by this member",
    body: DrillAsk,
    answer: DrillStarted,
    about: ({ body }) => ofWhat(body),
    run: async (deps, { body, who }) => deps.drills.begin(body, byOf(who)),
  }),
  route({
    method: "GET",
    path: "/v1/drill",
    offer: "viewer",
    summary: "what the drill under way is at",
    answer: DrillProgress,
    run: async (deps) => deps.drills.progress(),
  }),
  route({
    method: "POST",
    path: "/v1/drill/stop",
    offer: "operator",
    summary: "stop the drill under way, and undo it",
    answer: Done,
    run: async (deps, { who }) => {
      await deps.drills.stop(byOf(who));
      return { done: true as const };
    },
  }),
  route({
    method: "GET",
    path: "/v1/drills",
    offer: "viewer",
    summary: "the drills that were held, newest first",
    answer: DrillReports,
    run: async (deps) => deps.drills.reports(),
  }),
  route({
    method: "GET",
    path: "/v1/drills/:id",
    offer: "viewer",
    summary: "the report of one drill",
    answer: DrillReportAnswer,
    run: async (deps, { params }) => deps.drills.report(params.id),
  }),
  route({
    method: "POST",
    path: "/v1/probe",
    offer: "operator",
    summary: "ask for one catalog as an agent would",
    answer: ProbeAnswer,
    run: async (deps) => deps.drills.probe(),
  }),
];
