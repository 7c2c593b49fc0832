// PuppetDB, its couriers, and where reports go besides. What changes files of a server is root's.

import { ReportReceiver } from "../../cluster/schema.ts";
import { PuppetdbDiff } from "../../cluster/sync-status.ts";
import {
  Done,
  PuppetdbMark,
  PuppetdbUse,
  PuppetdbWish,
  ReceiverList,
  SyncAsked,
} from "../../setup/contract.ts";
import { route } from "../route.ts";

const done = { done: true as const };

export const puppetdbRoutes = [
  route({
    method: "GET",
    path: "/v1/puppetdb/diff",
    offer: "viewer",
    summary: "what differs between all PuppetDBs that answer",
    answer: PuppetdbDiff,
    run: async (deps) => deps.puppetdb.diff(),
  }),
  route({
    method: "POST",
    path: "/v1/puppetdb/sync",
    offer: "operator",
    summary: "compare this server's PuppetDB with the others now, and bring what it lacks",
    answer: SyncAsked,
    run: async (deps) => deps.puppetdb.sync(),
  }),
  route({
    method: "POST",
    path: "/v1/puppetdb/use",
    offer: "operator",
    summary: "send queries to the PuppetDB of one member, when it is fit",
    body: PuppetdbUse,
    answer: Done,
    about: ({ body }) => body.id,
    run: async (deps, { body }) => {
      await deps.puppetdb.use(body.id);
      return done;
    },
  }),
  route({
    method: "POST",
    path: "/v1/puppetdb",
    offer: "root",
    summary: "what this server runs for PuppetDB",
    body: PuppetdbWish,
    answer: PuppetdbMark,
    run: async (deps, { body }) => deps.puppetdb.set(body),
  }),
  route({
    method: "POST",
    path: "/v1/puppetdb/accept",
    offer: "root",
    summary: "let this server's PuppetDB answer queries with what it has",
    answer: Done,
    run: async (deps) => {
      await deps.puppetdb.accept();
      return done;
    },
  }),
  route({
    method: "POST",
    path: "/v1/report-receivers",
    offer: "admin",
    summary: "send reports to one more receiver",
    body: ReportReceiver,
    answer: ReceiverList,
    about: ({ body }) => `${body.name} ${body.url}`,
    run: async (deps, { body }) => ({ receivers: await deps.puppetdb.addReceiver(body) }),
  }),
  route({
    method: "DELETE",
    path: "/v1/report-receivers/:name",
    offer: "admin",
    summary: "send a receiver no more reports",
    answer: ReceiverList,
    run: async (deps, { params }) => ({
      receivers: await deps.puppetdb.removeReceiver(params.name),
    }),
  }),
  route({
    method: "POST",
    path: "/v1/puppetserver/load",
    offer: "root",
    summary: "have this server's puppetserver load its files anew, in its turn",
    answer: Done,
    run: (deps) => {
      deps.puppetdb.loadAnew();
      return done;
    },
  }),
];
