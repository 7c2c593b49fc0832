// Members by the names that people type.

import { Fault } from "../base/fault.ts";

/**
 * The member that `name` means: its whole name, or its beginning up to a dot where only one has
 * it. Throws Fault `member.not-found`, `member.ambiguous`.
 */
export function findMember(ids: readonly string[], name: string): string {
  const found = ids.includes(name) ? [name] : ids.filter((id) => id.startsWith(`${name}.`));
  const [id] = found;
  if (id === undefined) {
    throw new Fault("member.not-found", `${name} is no member of this cluster`, {
      hints: ["See: understudy member list"],
    });
  }
  if (found.length === 1) return id;
  throw new Fault("member.ambiguous", `"${name}" may be ${found.join(" or ")}`, {
    hints: ["Type the whole name."],
  });
}
