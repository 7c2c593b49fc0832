// What who is signed in may do. Buttons for more aren't shown; the API judges all the same.

import type { AccessRole } from "../../src/cluster/access.ts";
import { session } from "./ask.ts";

const ORDER = ["viewer", "operator", "admin"] as const satisfies readonly AccessRole[];

export function may(needed: AccessRole): boolean {
  const role = session.value?.role;
  return role !== undefined && ORDER.indexOf(role) >= ORDER.indexOf(needed);
}
