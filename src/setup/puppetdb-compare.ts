// What this server's PuppetDB lacks of what queries are answered from now: nodes with a catalog
// there and none here. Danger: an agent that collects from a PuppetDB which lacks nodes purges what
// they export.

import { readFile } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request as plainRequest } from "node:http";
import { request } from "node:https";
import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import { LOCAL_PUPPETDB } from "../courier/jetty-ini.ts";
import { readBody } from "../base/read-body.ts";
import { PORTS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";

const ASK_MS = 120_000;
/** A million certnames. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
const QUERY = '["from","catalogs",["extract",["certname"]]]';
const PATH = `/pdb/query/v4?query=${encodeURIComponent(QUERY)}`;
const Rows = z.array(z.object({ certname: z.string() }));

/** Certnames that only the answering PuppetDB has; `because`: why they can't be compared. */
export async function comparePuppetdb(
  id: string,
  layout: PuppetLayout,
): Promise<{ lacks: string[]; because: string }> {
  try {
    const [cert, key, ca] = await Promise.all(
      [layout.hostcert, layout.hostprivkey, layout.localcacert].map(async (path) =>
        readFile(path, "utf8"),
      ),
    );
    const tls = { cert, key, ca, servername: id };
    const there = await certnames((answered) =>
      request(
        { host: "127.0.0.1", port: PORTS.courier, path: PATH, ...tls, agent: false },
        answered,
      ),
    );
    const here = new Set(
      await certnames((answered) => plainRequest(new URL(PATH, LOCAL_PUPPETDB), answered)),
    );
    return { lacks: there.filter((certname) => !here.has(certname)).toSorted(), because: "" };
  } catch (error) {
    return { lacks: [], because: messageOf(error) };
  }
}

async function certnames(
  start: (answered: (incoming: IncomingMessage) => void) => ClientRequest,
): Promise<string[]> {
  const text = await new Promise<string>((resolve, reject) => {
    const outgoing = start((incoming) => {
      readBody(incoming, ANSWER_BYTES_MAX).then((bytes) => {
        const said = bytes.toString("utf8");
        if (incoming.statusCode === 200) resolve(said);
        else reject(new Error(`${incoming.statusCode ?? 0}: ${said.slice(0, 300).trim()}`));
      }, reject);
    });
    outgoing.setTimeout(ASK_MS, () => outgoing.destroy(new Error("no answer in time")));
    outgoing.on("error", reject);
    outgoing.end();
  });
  return Rows.parse(JSON.parse(text)).map(({ certname }) => certname);
}
