// The cluster's settings. They decide who is let in to PuppetDB and where reports go, so that
// changing them is an admin's.

import { describeSettings } from "../../cluster/settings/catalog.ts";
import {
  ConfigChange,
  ConfigChanged,
  ConfigDescribed,
  ConfigFormer,
  ConfigShown,
} from "../../setup/config-contract.ts";
import { route } from "../route.ts";

export const settingsRoutes = [
  route({
    method: "GET",
    path: "/v1/config",
    offer: "viewer",
    summary: "the settings, what they are, and the revision at which they were written",
    answer: ConfigDescribed,
    run: async (deps) => {
      const shown = await deps.config.show();
      return { ...shown, known: describeSettings(shown.settings) };
    },
  }),
  route({
    method: "GET",
    path: "/v1/config/former",
    offer: "viewer",
    summary: "former settings, and what the change after each was",
    answer: ConfigFormer,
    run: async (deps) => deps.config.former(),
  }),
  route({
    method: "GET",
    path: "/v1/config/former/:revision",
    offer: "viewer",
    summary: "the settings of a former revision",
    answer: ConfigShown,
    run: async (deps, { params }) => deps.config.formerAt(Number(params.revision)),
  }),
  route({
    method: "POST",
    path: "/v1/config/plan",
    offer: "admin",
    summary: "what a change of the settings would be",
    body: ConfigChange,
    answer: ConfigChanged,
    run: async (deps, { body }) => deps.config.plan(body),
  }),
  route({
    method: "POST",
    path: "/v1/config",
    offer: "admin",
    summary: "change the settings, if they are still of the revision that is named",
    body: ConfigChange,
    answer: ConfigChanged,
    aboutAnswer: ({ changes }) => changes.map(({ key }) => key).join(" "),
    run: async (deps, { body }) => deps.config.change(body),
  }),
];
