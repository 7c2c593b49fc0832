// What goes on, as it happens.

import { stream } from "../route.ts";

export const eventRoutes = [
  stream({
    path: "/v1/events",
    offer: "viewer",
    summary:
      "server-sent events: `snapshot` every 2 s (the status of GET /v1/status, and what it sums up to), `history` (its newest entries, whenever there are others), `trouble` (why there is no snapshot)",
    open: (deps, reader) => deps.events.open(reader),
  }),
];
