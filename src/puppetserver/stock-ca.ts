// The CA service of a stock puppetserver behind the edges: whether it answers, and its CRL.

import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { askPuppetserver, type PuppetserverAccess } from "./ask.ts";

const ASK_MS = 10_000;
const STATUS_BYTES_MAX = 64 * 1024;
/** One of 500,000 entries is some 25 MB. */
const CRL_BYTES_MAX = 64 * 1024 * 1024;
const CRL_PATH = "/puppet-ca/v1/certificate_revocation_list/ca";

/** Whether the CA service runs there; false also where nothing answers. */
export async function stockCaRuns(access: PuppetserverAccess): Promise<boolean> {
  const what = { path: "/status/v1/simple/ca", accept: "*/*", bytesMax: STATUS_BYTES_MAX };
  return askPuppetserver(access, what, deadline(ASK_MS)).then(
    ({ status }) => status === 200,
    () => false,
  );
}

/** Its CRL, PEM. Throws Fault `puppetserver.unreachable`. */
export async function readStockCrl(
  access: PuppetserverAccess,
  signal?: AbortSignal,
): Promise<Buffer> {
  const where = `the CA at ${access.address}:${access.port}`;
  const what = { path: CRL_PATH, accept: "text/plain", bytesMax: CRL_BYTES_MAX };
  try {
    const { status, body } = await askPuppetserver(access, what, deadline(ASK_MS, signal));
    if (status === 200) return body;
    throw new Error(`it answers ${status}`);
  } catch (error) {
    throw new Fault("puppetserver.unreachable", `${where}: ${messageOf(error).trim()}`, {
      cause: error,
    });
  }
}
