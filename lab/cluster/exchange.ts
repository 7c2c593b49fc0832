// The token exchange of a join by plain curl, with a key of its own: what somebody does who has
// found a token, or guesses one.

import { WireFault } from "../../src/cluster/wire-fault.ts";
import type { LabHost } from "../host.ts";

const NAME = "other.lab.test";
const MAKE_REQUEST = `
cd /root
[ -e other.csr ] || openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
  -keyout other.key -subj /CN=${NAME} -out other.csr 2>/dev/null
cat other.csr`;

/**
 * Shows `token` from `host` to the control API at `url` for a member other.lab.test. Returns
 * "admitted" or the code of the refusal.
 */
export async function exchange(
  host: LabHost,
  url: string,
  token: string,
  address = "10.88.0.99",
): Promise<string> {
  const [, letter, id, secret] = token.trim().split(".");
  const request = await host.run(MAKE_REQUEST);
  const leaves = ["etcd", "control", "edge", "authority", "listener"];
  const body = {
    token: { id, secret },
    role: letter === "s" ? "server" : "compiler",
    member: { id: NAME, address, version: "1", backends: [] },
    requests: Object.fromEntries(leaves.map((leaf) => [leaf, request])),
    puppetRequest: request,
    wallMs: Date.now(),
  };
  const header = "content-type: application/json";
  const curl = ["curl", "-sk", "-H", header, "--data-binary", "@-", `${url}/v1/join/start`];
  const answer: unknown = JSON.parse(await host.run(curl, { input: JSON.stringify(body) }));
  const fault = WireFault.safeParse(answer);
  return fault.success ? fault.data.error.code : "admitted";
}
