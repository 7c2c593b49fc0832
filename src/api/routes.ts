// Everything that can be asked of a daemon, as a site map. What a route does is done elsewhere; who
// may ask for it over the network stands beside it (docs/decisions/0015-the-peoples-api.md).

import type { Route } from "./route.ts";
import { accessRoutes } from "./routes/access.ts";
import { addressRoutes } from "./routes/address.ts";
import { alertRoutes } from "./routes/alerts.ts";
import { caRoutes } from "./routes/ca.ts";
import { clusterRoutes } from "./routes/cluster.ts";
import { drillRoutes } from "./routes/drill.ts";
import { eventRoutes } from "./routes/events.ts";
import { historyRoutes } from "./routes/history.ts";
import { memberRoutes } from "./routes/member.ts";
import { puppetdbRoutes } from "./routes/puppetdb.ts";
import { settingsRoutes } from "./routes/settings.ts";
import { workRoutes } from "./routes/work.ts";

export const ROUTES: readonly Route[] = [
  ...clusterRoutes,
  ...caRoutes,
  ...puppetdbRoutes,
  ...addressRoutes,
  ...memberRoutes,
  ...workRoutes,
  ...drillRoutes,
  ...accessRoutes,
  ...historyRoutes,
  ...eventRoutes,
  ...settingsRoutes,
  ...alertRoutes,
];
