// What people type, checked where it enters.

import type { z } from "zod";
import { Fault } from "../base/fault.ts";

/** Validates an option where it enters. Throws Fault `cli.option`. */
export function check<S extends z.ZodType>(
  schema: S,
  option: string,
  value: string | string[],
): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = parsed.error.issues.map((issue) => issue.message).join("; ");
  throw new Fault("cli.option", `${option} "${String(value)}": ${why}`);
}
