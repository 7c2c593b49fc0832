// The commands that list, add and remove this member's own puppetservers: one compared change of
// its record each. The edges follow with the view.

import type { BackendCommands } from "../api/local-app.ts";
import { Fault } from "../base/fault.ts";
import { addBackend, removeBackend, withFirst } from "../cluster/backends.ts";
import { readMember } from "../cluster/members.ts";
import { updateMember } from "../cluster/record.ts";
import { Backend, type Member, type NodeFile } from "../cluster/schema.ts";
import type { Etcd } from "../etcd/types.ts";

export function backendCommands({ etcd, node }: { etcd: Etcd; node: NodeFile }): BackendCommands {
  const listed = (member: Member) => ({
    backends: withFirst(member).backends.map((each) => ({
      ...each,
      address: each.address ?? member.address,
    })),
  });
  const required = (member: Member | undefined): Member => {
    if (member !== undefined) return member;
    throw new Fault("cluster.not-a-member", `the record has no member ${node.id}`);
  };
  const change = async (by: (member: Member) => Member) => {
    let changed: Member | undefined;
    await updateMember(etcd, node.id, (member) => {
      changed = by(withFirst(required(member)));
      return changed;
    });
    return listed(required(changed));
  };
  return {
    list: async () => listed(required((await readMember(etcd, node.id))?.member)),
    add: async (wish) => change((member) => addBackend(member, Backend.parse(wish))),
    remove: async (name) => change((member) => removeBackend(member, name)),
  };
}
