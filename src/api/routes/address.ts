// Virtual addresses: moved on purpose, or taken from a server that can't be asked.

import {
  FailoverAsk,
  FailoverDone,
  FailoverPlan,
  SwitchoverAsk,
  SwitchoverDone,
  SwitchoverPlan,
  SwitchoverProgress,
} from "../../setup/address-contract.ts";
import { Done } from "../../setup/contract.ts";
import { route } from "../route.ts";

const toWhom = ({ address, to }: { address?: string | undefined; to?: string | undefined }) =>
  [address ?? "", ...(to === undefined ? [] : [`to ${to}`])].join(" ").trim();

/** What became of a move, for the history. */
function tellMove({ already, addresses, from, to, tookMs, connections }: SwitchoverDone): string {
  const names = addresses.join(" and ");
  if (already) return `${names}: ${to} held it already`;
  return `${names} from ${from} to ${to} in ${Math.round(tookMs)} ms, ${connections} open connections go on`;
}

function tellTaken({ address, to, tookMs }: FailoverDone): string {
  return `${address} to ${to} in ${Math.round(tookMs)} ms, open connections broke`;
}

export const addressRoutes = [
  route({
    method: "GET",
    path: "/v1/switchover",
    offer: "viewer",
    summary: "what the switchover that runs here is at",
    answer: SwitchoverProgress,
    run: (deps) => deps.switchover.progress(),
  }),
  route({
    method: "POST",
    path: "/v1/switchover/plan",
    offer: "operator",
    summary: "what moving a virtual IP would mean",
    body: SwitchoverAsk,
    answer: SwitchoverPlan,
    about: ({ body }) => toWhom(body),
    run: async (deps, { body }) => deps.switchover.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/switchover",
    offer: "operator",
    summary: "move a virtual IP; by force also when connections break",
    body: SwitchoverAsk,
    answer: SwitchoverDone,
    about: ({ body }) => toWhom(body),
    aboutAnswer: tellMove,
    run: async (deps, { body }) => deps.switchover.run(body),
  }),
  route({
    method: "POST",
    path: "/v1/switchover/stop",
    offer: "operator",
    summary: "stop the switchover that runs here, if nothing has moved yet",
    answer: Done,
    run: (deps) => {
      deps.switchover.stop();
      return { done: true as const };
    },
  }),
  route({
    method: "POST",
    path: "/v1/failover/plan",
    offer: "admin",
    summary: "what taking a virtual IP from a server that can't be asked would mean",
    body: FailoverAsk,
    answer: FailoverPlan,
    about: ({ body }) => toWhom(body),
    run: async (deps, { body }) => deps.failover.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/failover",
    offer: "admin",
    summary: "take a virtual IP from a server that can't be asked; connections break",
    body: FailoverAsk,
    answer: FailoverDone,
    about: ({ body }) => toWhom(body),
    aboutAnswer: tellTaken,
    run: async (deps, { body }) => deps.failover.run(body),
  }),
];
