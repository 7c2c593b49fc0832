// The API on the network and who may use it. Only root lets somebody in, on a server: so a token
// that was stolen can't make itself others.

import {
  AccessMade,
  AccessRevoked,
  AccessTokens,
  AccessWish,
  ApiShown,
  ApiWish,
} from "../../setup/contract.ts";
import { route } from "../route.ts";

export const accessRoutes = [
  route({
    method: "GET",
    path: "/v1/access",
    offer: "viewer",
    summary: "access tokens: who may use the API over the network",
    answer: AccessTokens,
    run: async (deps) => deps.access.list(),
  }),
  route({
    method: "POST",
    path: "/v1/access",
    offer: "root",
    summary: "make an access token",
    body: AccessWish,
    answer: AccessMade,
    about: ({ body }) => `${body.name} (${body.role})`,
    run: async (deps, { body }) => deps.access.create(body),
  }),
  route({
    method: "DELETE",
    path: "/v1/access/:name",
    offer: "root",
    summary: "end an access token; answers when every member was asked",
    answer: AccessRevoked,
    run: async (deps, { params }) => deps.access.revoke(params.name),
  }),
  route({
    method: "GET",
    path: "/v1/api",
    offer: "viewer",
    summary: "how the API is on the network",
    answer: ApiShown,
    run: async (deps) => deps.access.show(),
  }),
  route({
    method: "POST",
    path: "/v1/api",
    offer: "root",
    summary: "put the API on the network, on every member",
    body: ApiWish,
    answer: ApiShown,
    about: ({ body }) => `port ${body.port}`,
    run: async (deps, { body }) => deps.access.listen(body),
  }),
  route({
    method: "DELETE",
    path: "/v1/api",
    offer: "root",
    summary: "take the API off the network",
    answer: ApiShown,
    run: async (deps) => deps.access.off(),
  }),
];
