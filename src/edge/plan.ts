// What HAProxy must be told so that it routes as the cluster wants. Pure. The idea: the file is
// always complete on its own; runtime commands only spare a reload. Danger: a runtime change that
// is missing from the file comes back wrong after a crash, so the file is always written first.

import type { EdgeConfig } from "./config.ts";
import type { EdgeState } from "./observe.ts";
import { renderEdge } from "./render.ts";

/** One thing to do to this server's edge, and why. */
export type EdgeAction =
  | { do: "write"; because: string }
  | { do: "reload"; because: string }
  | { do: "set-maxconn"; server: string; maxconn: number; because: string };

/** Lists what brings `observed` to `desired`, in order. Empty when nothing is left to do. */
export function planEdge(desired: EdgeConfig, observed: EdgeState): EdgeAction[] {
  const files = renderEdge(desired);
  const actions: EdgeAction[] = [];
  const { haproxyCfg, waitLua } = observed.files;
  if (haproxyCfg !== files.haproxyCfg || waitLua !== files.waitLua) {
    const because = haproxyCfg === undefined ? "there is no configuration yet" : "it has changed";
    actions.push({ do: "write", because });
  }
  // Whoever starts it, it starts with the file.
  if (!observed.running) return actions;
  if (observed.structure !== files.structure) {
    return [...actions, { do: "reload", because: "HAProxy runs with an older configuration" }];
  }
  return [...actions, ...runtimeActions(desired, observed)];
}

function runtimeActions(desired: EdgeConfig, observed: EdgeState): EdgeAction[] {
  const actions: EdgeAction[] = [];
  for (const { name, jrubies } of desired.backends) {
    const server = observed.servers.find((each) => each.name === name);
    if (server === undefined || server.maxconn === jrubies) continue;
    const because = `${name} has ${jrubies} JRubies, HAProxy believes ${server.maxconn ?? "none"}`;
    actions.push({ do: "set-maxconn", server: name, maxconn: jrubies, because });
  }
  return actions;
}
