// The dashboard's site map.

import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { Certificates } from "./pages/certificates.tsx";
import { Drills } from "./pages/drills.tsx";
import { History } from "./pages/history.tsx";
import { Overview } from "./pages/overview.tsx";
import { PuppetDb } from "./pages/puppetdb.tsx";
import { Servers } from "./pages/servers.tsx";
import { Settings } from "./pages/settings.tsx";

export interface PageRoute {
  /** After the # of the address. */
  path: string;
  title: string;
  page: ComponentType;
}

export const ROUTES = [
  { path: "/", title: "Overview", page: Overview },
  { path: "/servers", title: "Servers", page: Servers },
  { path: "/certificates", title: "Certificates", page: Certificates },
  { path: "/puppetdb", title: "PuppetDB", page: PuppetDb },
  { path: "/history", title: "History", page: History },
  { path: "/drills", title: "Drills", page: Drills },
  { path: "/settings", title: "Settings", page: Settings },
] as const satisfies readonly PageRoute[];

/** The page of an address's part after the #; the first for what is none. */
export function routeOf(hash: string): PageRoute {
  const path = hash.replace(/^#/, "");
  return ROUTES.find((route) => route.path === path) ?? ROUTES[0];
}

export const route = signal<PageRoute>(routeOf(location.hash));
addEventListener("hashchange", () => (route.value = routeOf(location.hash)));
