// What is so, and settings of the whole cluster.

import { z } from "zod";
import { ClusterStatus, LocalStatus } from "../../cluster/status.ts";
import {
  CreatedToken,
  CreateToken,
  Done,
  RoomAnswer,
  TokenList,
  VotersAnswer,
} from "../../setup/contract.ts";
import { route } from "../route.ts";

const VoterCount = z.object({ voters: z.union([z.literal(1), z.literal(3), z.literal(5)]) });

export const clusterRoutes = [
  route({
    method: "GET",
    path: "/v1/status",
    offer: "viewer",
    summary: "the whole cluster: what every member says, and what that comes to",
    answer: ClusterStatus,
    run: async (deps) => deps.cluster(),
  }),
  route({
    method: "GET",
    path: "/v1/local",
    offer: "viewer",
    summary: "what this member says of itself",
    answer: LocalStatus,
    run: async (deps) => deps.local(),
  }),
  route({
    method: "POST",
    path: "/v1/voters",
    offer: "admin",
    summary: "how many servers are to vote in etcd",
    body: VoterCount,
    answer: VotersAnswer,
    about: ({ body }) => String(body.voters),
    run: async (deps, { body }) => deps.setVoters(body.voters),
  }),
  route({
    method: "POST",
    path: "/v1/etcd/make-room",
    offer: "admin",
    summary: "have etcd's database give back what it no longer needs, one voter after the other",
    answer: RoomAnswer,
    run: async (deps) => deps.makeRoom(),
  }),
  route({
    method: "GET",
    path: "/v1/tokens",
    offer: "viewer",
    summary: "join tokens: who may still come into the cluster",
    answer: TokenList,
    run: async (deps) => deps.listTokens(),
  }),
  route({
    method: "POST",
    path: "/v1/tokens",
    offer: "root",
    summary: "make a join token",
    body: CreateToken,
    answer: CreatedToken,
    about: ({ body }) => body.role,
    run: async (deps, { body }) => deps.createToken(body),
  }),
  route({
    method: "DELETE",
    path: "/v1/tokens/:id",
    offer: "root",
    summary: "make a join token unusable",
    answer: Done,
    run: async (deps, { params }) => {
      await deps.revokeToken(params.id);
      return { done: true as const };
    },
  }),
];
