// One route of the API, declared once: what is asked, what is answered, who may ask. From these
// come the socket's app, the people's app and the OpenAPI document, so that they can't differ.

import type { HttpBindings } from "@hono/node-server";
import type { Context, Env, Hono } from "hono";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { oneAtATime } from "../base/one-at-a-time.ts";
import type { AccessRole } from "../cluster/access.ts";
import { checked, readBody } from "./body.ts";
import type { Reader } from "./events.ts";
import type { LocalDeps } from "./local-app.ts";
import { tooFast } from "./sign-in.ts";

/**
 * Who may ask over the network: holders of a token of this role or a higher one. `root`: nobody,
 * only commands on this server's own socket.
 */
export type Offer = AccessRole | "root";

export type Method = "GET" | "POST" | "DELETE";

/** So many wait where one is answered at a time. */
const WAITING_MAX = 4;

export const EVENTS_TYPE = "text/event-stream";

/** The names in a path: `id` in /v1/tokens/:id. */
type ParamsOf<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<`/${Rest}`>
  : P extends `${string}:${infer Name}`
    ? Name
    : never;

interface Input<P extends string, Q, B> {
  params: Record<ParamsOf<P>, string>;
  query: Q;
  body: B;
  /** Who asks: a token's name, or root. */
  who: string;
}

interface Declared<
  P extends string,
  Q extends z.ZodObject,
  B extends z.ZodType,
  A extends z.ZodType,
> {
  method: Method;
  path: P;
  offer: Offer;
  /** What it does, in a few words. */
  summary: string;
  query?: Q;
  body?: B;
  answer: A;
  /** What it is done to, for the audit; never a secret. */
  about?(input: Input<P, z.infer<Q>, z.infer<B>>): string;
  /** The same where only the answer tells. */
  aboutAnswer?(answer: z.infer<A>): string;
  /** What of a query is answered at once over the network, where many may ask. */
  bound?(query: z.infer<Q>): z.infer<Q>;
  /** Over the network one of it at a time: it asks every member for much. */
  single?: true;
  run(deps: LocalDeps, input: Input<P, z.infer<Q>, z.infer<B>>): z.infer<A> | Promise<z.infer<A>>;
}

/** A route whose shapes were checked against each other when it was declared. */
export interface Route {
  method: Method;
  path: string;
  offer: Offer;
  summary: string;
  query?: z.ZodObject;
  body?: z.ZodType;
  answer: z.ZodType;
  about?(input: AnyInput): string;
  aboutAnswer?(answer: unknown): string;
  bound?(query: unknown): unknown;
  single?: true;
  run(deps: LocalDeps, input: AnyInput): unknown;
  /** Instead of `run`, for one that goes on answering: `answer` is then the events' text. */
  open?(deps: LocalDeps, reader: Reader): ReadableStream<Uint8Array>;
}

interface AnyInput {
  params: Record<string, string>;
  query: unknown;
  body: unknown;
  who: string;
}

/** Declares a route: `run` must take what `query` and `body` let through, and give `answer`. */
export function route<
  P extends string,
  Q extends z.ZodObject,
  B extends z.ZodType,
  A extends z.ZodType,
>(declared: Declared<P, Q, B, A>): Route {
  // Whatever calls it has passed the schemas: see serveRoute.
  return declared;
}

/** Declares a route that goes on answering, with server-sent events. */
export function stream(declared: {
  path: string;
  offer: Offer;
  summary: string;
  open(deps: LocalDeps, reader: Reader): ReadableStream<Uint8Array>;
}): Route {
  return { ...declared, method: "GET", answer: z.string(), run: () => "" };
}

/** Who asks, and whether he may go on; see events.ts. */
type Asker = Pick<Reader, "who" | "stays">;

/**
 * Wraps a call: may refuse before anything is read, says who asks, and hears what it is done to.
 */
export type Around<E extends Env> = (
  c: Context<E>,
  call: (asker: Asker, about: (text: string) => void) => Promise<unknown>,
) => Promise<unknown>;

/** Adds `route` to `app`, whose callers come over the network or not. */
export function serveRoute<E extends Env>(
  app: Hono<E>,
  route: Route,
  { deps, network, around }: { deps: LocalDeps; network: boolean; around: Around<E> },
): void {
  const inTurn =
    network && route.single === true
      ? oneAtATime(WAITING_MAX, () => tooFast(`${route.path} is asked for by others`))
      : undefined;
  app.on(route.method, route.path, async (c) => {
    const answer = await around(c, async (asker, about) => {
      const { who } = asker;
      const end = () => (c.env as Partial<HttpBindings>).outgoing?.destroy();
      if (route.open !== undefined) {
        requireRead(c.req.method, route);
        return route.open(deps, { ...asker, end });
      }
      const query = route.query === undefined ? {} : checked(route.query, c.req.query());
      const input = {
        params: c.req.param(),
        query: network && route.bound !== undefined ? route.bound(query) : query,
        body: route.body === undefined ? undefined : await readBody(route.body, c.req),
        who,
      };
      about(route.about?.(input) ?? Object.values(input.params).join(" "));
      const run = async () => route.run(deps, input);
      const answer = await (inTurn === undefined ? run() : inTurn(run));
      if (route.aboutAnswer !== undefined) about(route.aboutAnswer(answer));
      return answer;
    });
    if (answer instanceof ReadableStream) {
      return c.body(answer, 200, { "content-type": EVENTS_TYPE });
    }
    return c.json(answer as object);
  });
}

/**
 * A HEAD is answered by GET's handler, and what comes of it dropped: a stream would stay open that
 * nobody reads. Throws Fault `api.not-found`.
 */
function requireRead(method: string, { path }: Route): void {
  if (method === "GET") return;
  throw new Fault("api.not-found", `${method} ${path} isn't offered: it is a stream`);
}
