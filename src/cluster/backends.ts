// A member's puppetservers, as an administrator lists them: more than one may run on a host. Pure:
// member in, member out, for one compared change of its record.

import { Fault } from "../base/fault.ts";
import { PORTS } from "../host/paths.ts";
import { Backend, type Member } from "./schema.ts";

const BACKENDS_MAX = 16;

/** The one that init and join put behind the edge. */
const FIRST = Backend.parse({ name: "puppetserver", port: PORTS.puppetserver });

/** `member` with its first puppetserver, which a record that is new doesn't list yet. */
export function withFirst(member: Member): Member {
  return member.backends.length > 0 ? member : { ...member, backends: [FIRST] };
}

/** The packaged one of `member`, whose unit is known; undefined where it was removed. */
export function packagedOf(member: Member): Backend | undefined {
  return withFirst(member).backends.find(({ name }) => name === FIRST.name);
}

/**
 * `member` with one more puppetserver. Throws Fault `backend.taken` when its name or its port is in
 * use.
 */
export function addBackend(member: Member, backend: Backend): Member {
  const { backends } = member;
  const place = (each: Backend) => `${each.address ?? member.address} port ${each.port}`;
  const same = backends.find((each) => each.name === backend.name);
  if (same !== undefined && place(same) === place(backend)) return member;
  if (same !== undefined) throw taken(`${backend.name} is at ${place(same)} already`);
  const there = backends.find((each) => place(each) === place(backend));
  if (there !== undefined) throw taken(`${there.name} is at ${place(backend)} already`);
  if (Object.values<number>(PORTS).includes(backend.port)) {
    throw taken(`port ${backend.port} is one of Understudy's own`);
  }
  if (backends.length >= BACKENDS_MAX) throw taken(`a member has ${BACKENDS_MAX} at most`);
  return { ...member, backends: [...backends, backend] };
}

/**
 * `member` without the puppetserver `name`. Throws Fault `backend.unknown`, and `backend.last` for
 * the only one.
 */
export function removeBackend(member: Member, name: string): Member {
  const left = member.backends.filter((each) => each.name !== name);
  if (left.length === member.backends.length) {
    throw new Fault("backend.unknown", `${member.id} has no puppetserver called "${name}"`, {
      hints: ["Which there are: understudy backend list"],
    });
  }
  if (left.length === 0) {
    throw new Fault("backend.last", `"${name}" is the only puppetserver of ${member.id}`, {
      hints: ["To take the whole server out: understudy leave"],
    });
  }
  return { ...member, backends: left };
}

/** `member` with the JRuby counts that were read, by backend; who else was added meanwhile stays. */
export function withJrubies(member: Member, jrubies: ReadonlyMap<string, number>): Member {
  const backends = member.backends.map((backend) => ({
    ...backend,
    jrubies: jrubies.get(backend.name) ?? backend.jrubies,
  }));
  return { ...member, backends };
}

function taken(because: string): Fault {
  return new Fault("backend.taken", because, {
    hints: ["Choose another name or port. Which there are: understudy backend list"],
  });
}
