// Where the CA is once it is stock Puppet Server's: the member's puppetserver, behind the edges.

import { withFirst } from "./backends.ts";
import { leafHostname } from "./pki.ts";
import type { Ejected } from "./schema.ts";
import type { View } from "./view.ts";

export interface StockAuthority {
  /** The member's id. */
  name: string;
  /** The name that its listener's certificate must carry. */
  host: string;
  address: string;
  port: number;
}

/** The puppetserver that has the CA; undefined when its member is gone. */
export function stockAuthority(
  view: Pick<View, "members">,
  { to }: Ejected,
): StockAuthority | undefined {
  const member = view.members.find(({ id }) => id === to);
  if (member === undefined) return undefined;
  const { backends } = withFirst(member);
  // The one that init or join put behind the edge has the CA directory's settings.
  const backend = backends.find(({ name }) => name === "puppetserver") ?? backends[0];
  if (backend === undefined) return undefined;
  const { address = member.address, port } = backend;
  return { name: to, host: leafHostname("listener", to), address, port };
}
