// The description of the API for programs, OpenAPI 3.1, made of the routes themselves. Pure.

import { z } from "zod";
import { HEALTH_CHECKS } from "../cluster/health.ts";
import { WireFault } from "../cluster/wire-fault.ts";
import { VERSION } from "../version.ts";
import { HEALTH_SUMMARIES, HealthAnswer, healthPath } from "./health-app.ts";
import { Done } from "../setup/contract.ts";
import { EVENTS_TYPE, type Route } from "./route.ts";
import { SESSION_PATH, SESSION_SUMMARIES, SessionOpened, SessionShown } from "./session-routes.ts";

export const OPENAPI_PATH = "/v1/openapi.json";
export const METRICS_PATH = "/metrics";

const SESSIONS = { get: SessionShown, post: SessionOpened, delete: Done };

type Json = Record<string, unknown>;

const FAULT = { description: "what was refused or failed, and what to do", ...json(WireFault) };

/** The document; `routes` in their order. */
export function renderOpenApi(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  const add = (path: string, method: string, operation: Json) => {
    paths[path] = { ...paths[path], [method]: operation };
  };
  for (const check of HEALTH_CHECKS) add(healthPath(check), "get", describeHealth(check));
  add(METRICS_PATH, "get", {
    ...ofRole("viewer", "this member's metrics, in Prometheus's text format"),
    responses: {
      200: { description: "the metrics", content: { "text/plain": { schema: textSchema } } },
      default: FAULT,
    },
  });
  add(OPENAPI_PATH, "get", {
    ...ofRole("viewer", "this document"),
    responses: {
      200: { description: "the document", content: content({ type: "object" }) },
      default: FAULT,
    },
  });
  for (const [method, answer] of Object.entries(SESSIONS)) {
    add(SESSION_PATH, method, {
      ...ofRole("viewer", SESSION_SUMMARIES[method as keyof typeof SESSION_SUMMARIES]),
      responses: { 200: { description: "done", ...json(answer) }, default: FAULT },
    });
  }
  for (const route of routes) {
    add(pathOf(route), route.method.toLowerCase(), describeRoute(route));
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Understudy",
      version: VERSION,
      description: "Within /v1 fields are only added: leave alone what you don't know.",
    },
    servers: [{ url: "/" }],
    security: [{ token: [] }],
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "understudy access create" },
      },
    },
    paths,
  };
}

/** A route's path as OpenAPI writes it. */
export function pathOf({ path }: Pick<Route, "path">): string {
  return path.replaceAll(/:(\w+)/g, "{$1}");
}

function describeRoute(route: Route): Json {
  const { path, offer, summary, query, body, answer } = route;
  const named = [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: textSchema,
  }));
  const parameters = [...named, ...(query === undefined ? [] : describeQuery(query))];
  return {
    ...ofRole(offer, summary),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: content(schemaOf(body, "input")) } }),
    responses: {
      200: {
        description: "done",
        ...(route.open === undefined
          ? json(answer)
          : { content: { [EVENTS_TYPE]: { schema: textSchema } } }),
      },
      default: FAULT,
    },
  };
}

function describeQuery(query: z.ZodObject): Json[] {
  // What a number is coerced from could be anything; what comes out of it tells more.
  const { properties = {}, required = [] } = schemaOf(query, "output") as {
    properties?: Json;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function describeHealth(check: (typeof HEALTH_CHECKS)[number]): Json {
  return {
    summary: HEALTH_SUMMARIES[check],
    tags: ["health"],
    security: [],
    responses: {
      200: { description: "it is so", ...json(HealthAnswer) },
      503: { description: "it isn't so", ...json(HealthAnswer) },
      429: { description: "too many checks from this address", ...json(HealthAnswer) },
    },
  };
}

function ofRole(role: string, summary: string): Json {
  return { summary, tags: [role], "x-understudy-role": role };
}

const textSchema = { type: "string" };

function content(schema: Json): Json {
  return { "application/json": { schema } };
}

function json(schema: z.ZodType): Json {
  return { content: content(schemaOf(schema, "output")) };
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: "any",
    override: ({ jsonSchema }) => {
      // Members of a newer version say more.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return rest;
}
