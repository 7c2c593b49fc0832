// Bodies of requests, checked where they enter. Anybody may send anything, so nothing here is an
// error of ours.

import type { z } from "zod";
import { Fault } from "../base/fault.ts";

/** The body of `request` as `schema` has it. Throws Fault `api.malformed`. */
export async function readBody<S extends z.ZodType>(
  schema: S,
  request: { text(): Promise<string> },
): Promise<z.infer<S>> {
  return checked(schema, parseJson(await request.text()));
}

/** `value`, a body or a query, as `schema` has it. Throws Fault `api.malformed`. */
export function checked<S extends z.ZodType>(schema: S, value: unknown): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  throw new Fault("api.malformed", `the request isn't understood: ${problems.join("; ")}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Fault("api.malformed", "the request's body isn't JSON", { cause: error });
  }
}
