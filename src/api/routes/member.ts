// Members: coming, going, what is theirs. Who belongs to the cluster, who holds its keys and where
// its CA is, root decides, on a server: none of it is offered over the network.

import { z } from "zod";
import {
  AddBackend,
  BackendList,
  Done,
  EjectPlan,
  EjectWish,
  EndedAnswer,
  HandedOverAnswer,
  RemovalDone,
  RemovalPlan,
  ServerNames,
} from "../../setup/contract.ts";
import { FinishWish } from "../../setup/history-contract.ts";
import { route } from "../route.ts";

const MemberId = z.object({ id: z.string().max(253) });
const ServerRequest = z.object({ request: z.string().max(64 * 1024) });
const ServerCertificate = z.object({
  certificate: z.string(),
  bundle: z.string(),
  crl: z.string(),
});
const done = { done: true as const };

const setupRoutes = [
  route({
    method: "POST",
    path: "/v1/server-certificate",
    offer: "root",
    summary: "sign this member's own Puppet certificate",
    body: ServerRequest,
    answer: ServerCertificate,
    run: async (deps, { body }) => deps.signOwnCertificate(body.request),
  }),
  route({
    method: "POST",
    path: "/v1/server-certificate/reissue",
    offer: "root",
    summary: "sign it anew, with further names of the cluster's servers",
    body: ServerNames,
    answer: ServerNames,
    about: ({ body }) => body.altNames.join(" "),
    run: async (deps, { body }) => deps.reissue(body.altNames),
  }),
  route({
    method: "POST",
    path: "/v1/finish",
    offer: "root",
    summary: "setup has gone through: this member is a full one",
    body: FinishWish,
    answer: Done,
    run: async (deps, { body }) => {
      await deps.finish(body);
      return done;
    },
  }),
];

const removalRoutes = [
  route({
    method: "POST",
    path: "/v1/members/removal-plan",
    offer: "root",
    summary: "what removing a member will cost",
    body: MemberId,
    answer: RemovalPlan,
    about: ({ body }) => body.id,
    run: async (deps, { body }) => deps.planRemoval(body.id),
  }),
  route({
    method: "POST",
    path: "/v1/members/remove",
    offer: "root",
    summary: "take a dead member out of the cluster",
    body: MemberId,
    answer: RemovalDone,
    about: ({ body }) => body.id,
    run: async (deps, { body }) => deps.remove(body.id),
  }),
  route({
    method: "POST",
    path: "/v1/leave/plan",
    offer: "root",
    summary: "what leaving will cost this member",
    answer: RemovalPlan,
    run: async (deps) => deps.planLeave(),
  }),
  route({
    method: "POST",
    path: "/v1/leave/start",
    offer: "root",
    summary: "mark this member as on its way out",
    answer: Done,
    run: async (deps) => {
      await deps.startLeaving();
      return done;
    },
  }),
  route({
    method: "POST",
    path: "/v1/leave",
    offer: "root",
    summary: "have another server take this member out",
    answer: RemovalDone,
    run: async (deps) => deps.leave(),
  }),
];

const backendRoutes = [
  route({
    method: "GET",
    path: "/v1/backends",
    offer: "viewer",
    summary: "this member's own puppetservers",
    answer: BackendList,
    run: async (deps) => deps.backends.list(),
  }),
  route({
    method: "POST",
    path: "/v1/backends",
    offer: "root",
    summary: "send requests to one more puppetserver of this member",
    body: AddBackend,
    answer: BackendList,
    about: ({ body }) => body.name,
    run: async (deps, { body }) => deps.backends.add(body),
  }),
  route({
    method: "DELETE",
    path: "/v1/backends/:name",
    offer: "root",
    summary: "send a puppetserver of this member no more requests",
    answer: BackendList,
    run: async (deps, { params }) => deps.backends.remove(params.name),
  }),
];

const ejectRoutes = [
  route({
    method: "POST",
    path: "/v1/eject/plan",
    offer: "root",
    summary: "what ejecting the CA to this server means",
    body: EjectWish,
    answer: EjectPlan,
    run: async (deps, { body }) => deps.eject.plan(body.alone),
  }),
  route({
    method: "POST",
    path: "/v1/eject",
    offer: "root",
    summary: "end the cluster's CA: no server signs any more",
    body: EjectWish,
    answer: EndedAnswer,
    run: async (deps, { body }) => deps.eject.end(body.alone),
  }),
  route({
    method: "POST",
    path: "/v1/eject/hand-over",
    offer: "root",
    summary: "make the CA directory here stock Puppet Server's",
    body: EjectWish,
    answer: HandedOverAnswer,
    run: async (deps, { body }) => deps.eject.handOver(body.alone),
  }),
];

export const memberRoutes = [...setupRoutes, ...removalRoutes, ...backendRoutes, ...ejectRoutes];
