// What setup knows of this host once preflight has passed.

import type { PkiOwners } from "../cluster/pki-store.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { findOwner } from "../host/users.ts";

export interface SetupHost {
  layout: PuppetLayout;
  owners: PkiOwners;
}

/** Looks up the users that own keys and files here. */
export async function readSetupHost(layout: PuppetLayout): Promise<SetupHost> {
  const { user, group } = layout.puppetserver;
  const [etcd, puppet] = await Promise.all([findOwner("understudy-etcd"), findOwner(user, group)]);
  return { layout, owners: { etcd, puppet } };
}
