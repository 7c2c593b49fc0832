// What `puppetserver ca` and other administrators' tools ask of one name: its status, signing,
// revoking, forgetting. Order of checks, codes and texts are Puppet Server's; its holes (unchecked
// names, odd types) are not.

import { isCertname } from "./certname.ts";
import {
  acceptedJson,
  ADMIN_BODY_BYTES_MAX,
  isJsonType,
  json,
  jsonList,
  parseJsonObject,
  readBody,
  text,
  tooLarge,
} from "./http.ts";
import type { EdgeReport } from "./outcome.ts";
import type { Call, Route } from "./routes.ts";
import { TTL_SECONDS_MAX } from "./settings.ts";
import { isCertState, statusOf, statusTexts } from "./view.ts";
import { isUnreachable } from "./store.ts";

export const adminRoutes: Route[] = [
  { method: "GET", path: "certificate_status/*", who: "admin", handle: getStatus },
  { method: "PUT", path: "certificate_status/*", who: "admin", handle: putStatus },
  { method: "DELETE", path: "certificate_status/*", who: "admin", handle: deleteStatus },
  {
    method: "GET",
    path: "certificate_statuses/*",
    who: "admin",
    anyName: true,
    handle: getStatuses,
  },
  { method: "DELETE", path: "certificate_request/*", who: "admin", handle: deleteRequest },
];

const GONE = "Resource not found.";
const NO_SUBJECT = "Invalid certificate subject.";

async function getStatus({ core, operations, name, request }: Call): Promise<Response> {
  const type = acceptedJson(request.headers.get("accept"));
  if (type === undefined) return notAcceptable();
  try {
    await operations.lookUp([name]);
  } catch (error) {
    // Without etcd the newest that is known here is still an answer.
    if (!isUnreachable(error)) throw error;
  }
  const status = statusOf(core.mirror, name);
  return status === undefined ? text(404, GONE) : json(200, status, type);
}

async function getStatuses({ core, name, request, url }: Call): Promise<Response> {
  if (name === "") return text(400, "Missing URL Segment");
  const type = acceptedJson(request.headers.get("accept"));
  if (type === undefined) return notAcceptable();
  const state = url.searchParams.get("state") ?? undefined;
  return jsonList(200, statusTexts(core.mirror, isCertState(state) ? state : undefined), type);
}

async function putStatus(call: Call): Promise<Response> {
  const { name, request, operations } = call;
  const body = await readBody(request, ADMIN_BODY_BYTES_MAX);
  if (body === undefined) return tooLarge(ADMIN_BODY_BYTES_MAX);
  const wish = readWish(body, name);
  if ("refused" in wish) return text(400, wish.refused);
  if (!isJsonType(request.headers.get("content-type"))) {
    return text(415, "Unsupported media type.");
  }
  if (!isCertname(name)) return text(404, NO_SUBJECT);
  if (wish.state === "revoked") return revoke(call);
  await operations.lookUp([name]);
  const isThere = statusOf(call.core.mirror, name) !== undefined;
  return isThere ? sign(call, wish.ttlSeconds) : text(404, NO_SUBJECT);
}

async function sign({ name, operations }: Call, ttlSeconds?: number): Promise<Response> {
  const options = ttlSeconds === undefined ? {} : { ttlSeconds };
  const { results } = await operations.sign([name], options);
  const [result] = results;
  return result?.ok === true ? noContent() : text(409, result?.because ?? "");
}

async function revoke({ name, operations }: Call): Promise<Response> {
  const { results, edges } = await operations.revoke({ names: [name] });
  const [result] = results;
  // Also of a name that was forgotten without it, as in Puppet Server from 8.3 on.
  if (result?.why === "unknown") return text(404, NO_SUBJECT);
  if (result?.ok !== true) {
    return text(409, `Cannot revoke certificate for host ${name} without a signed certificate`);
  }
  const open = unconfirmed(edges);
  return open === "" ? noContent() : text(200, `Revoked. ${open}`);
}

async function deleteStatus({ name, operations }: Call): Promise<Response> {
  return (await operations.forget(name, "all")) ? noContent() : text(404, GONE);
}

async function deleteRequest({ name, operations, core }: Call): Promise<Response> {
  if (await operations.forget(name, "request")) return noContent();
  const path = core.directory.layout.requestFile(name);
  return text(404, `No certificate request for ${name} at expected path ${path}`);
}

type Wish = { state: "signed" | "revoked"; ttlSeconds?: number } | { refused: string };

function readWish(body: string, name: string): Wish {
  if (body === "") return { refused: "Empty request body." };
  const wish = parseJsonObject(body);
  if (wish === undefined) return { refused: "Request body is not JSON." };
  const { desired_state: state, cert_ttl: ttl } = wish;
  if (state === undefined || state === null) {
    return { refused: 'Missing required parameter "desired_state"' };
  }
  if (state !== "signed" && state !== "revoked") {
    return {
      refused:
        `State ${show(state)} invalid; Must specify desired state of 'signed' or 'revoked' ` +
        `for host ${name}.`,
    };
  }
  if (ttl === undefined || ttl === null) return { state };
  if (typeof ttl !== "number" || !Number.isSafeInteger(ttl)) {
    return {
      refused: `cert_ttl specified for host ${name} must be an integer, not "${show(ttl)}"`,
    };
  }
  if (ttl < 1 || ttl > TTL_SECONDS_MAX) {
    return {
      refused: `cert_ttl specified for host ${name} must be 1 to ${TTL_SECONDS_MAX} seconds`,
    };
  }
  return { state, ttlSeconds: ttl };
}

/** What of a revocation is still open, for a client that shows texts; empty when nothing is. */
export function unconfirmed(edges: EdgeReport | undefined): string {
  if (edges === undefined || edges.missing.length === 0) return "";
  const all = edges.confirmed.length + edges.missing.length;
  const names = edges.missing.map(({ member }) => member).join(", ");
  const by = `Refused by ${edges.confirmed.length} of ${all} edges`;
  return `${by}; not confirmed yet by ${names}, asked again until it is.`;
}

function show(value: unknown): string {
  return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 200);
}

function noContent(): Response {
  return new Response(null, { status: 204 });
}

function notAcceptable(): Response {
  return text(406, "No acceptable resource available.");
}
