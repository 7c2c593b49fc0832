// How long the whole list of 20,000 certificates takes (certificate_statuses, as `puppetserver ca
// list --all` asks for it), and a page of it on the command line. Asked on the server itself.

import { Fault } from "../../src/base/fault.ts";
import { UNITS } from "../../src/host/paths.ts";
import { type Figure, figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import { median, worst } from "../stats.ts";
import type { CaSite } from "./site.ts";

const LIST_MS_MAX = 180_000;
const PAGE = "understudy ca list --all --limit 50";
const PAGES = 5;
const LIST_GOAL = { goal: { under: 0.5 } } as const;
const PAGE_GOAL = { goal: { under: 0.3 } } as const;

interface Trial {
  /** The list for the first time since the server was started, and again; seconds. */
  firstS: number;
  againS: number;
  bytes: number;
  /** Pages on the command line, seconds; none of stock's, which has no such thing. */
  pagesS: number[];
}

export function statuses(): Group<CaSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "statuses",
    about: "the list of 20,000 certificates, and a page of it on the command line",
    trials: { full: 5, quick: 2, baseline: 1 },
    measure: async (site, measuring) => {
      await makeTrials(seen, site, measuring, async (number, keep) => {
        if (site.kind === "understudy") await restartDaemon(site);
        const first = await list(site);
        const again = await list(site);
        const pagesS: number[] = [];
        if (site.kind === "understudy")
          for (let page = 0; page < PAGES; page += 1) pagesS.push(await timePage(site));
        const trial = { firstS: first.seconds, againS: again.seconds, bytes: again.bytes, pagesS };
        const said = `${trial.firstS.toFixed(2)} s, again ${trial.againS.toFixed(2)} s`;
        measuring.say(`${site.kind}: list ${number}: ${said}, ${trial.bytes} bytes`);
        keep(trial);
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      return ours === undefined ? [] : toFigures(ours, filled(seen.baseline));
    },
    raw: () => seen,
  };
}

async function restartDaemon({ servers: [server] }: CaSite): Promise<void> {
  await server?.run(["systemctl", "restart", UNITS.daemon]);
}

async function list({ servers: [server] }: CaSite): Promise<{ seconds: number; bytes: number }> {
  if (server === undefined) throw new Fault("bench.no-server", "there is no server to ask");
  const { fqdn } = server;
  const ssl = "/var/lib/puppet/ssl";
  const tls = `--cacert ${ssl}/certs/ca.pem --cert ${ssl}/certs/${fqdn}.pem --key ${ssl}/private_keys/${fqdn}.pem`;
  const url = `https://${fqdn}:8140/puppet-ca/v1/certificate_statuses/all`;
  const form = "%{http_code} %{time_total} %{size_download}";
  const said = await server.run(`curl -s -o /dev/null -w '${form}' ${tls} ${url}`, {
    withinMs: LIST_MS_MAX,
  });
  const [status, seconds, bytes] = said.trim().split(" ").map(Number);
  if (status === 200) return { seconds: seconds ?? Number.NaN, bytes: bytes ?? 0 };
  throw new Fault("bench.load-failed", `certificate_statuses: ${said}`);
}

async function timePage({ servers: [server] }: CaSite): Promise<number> {
  const ran = await server?.exec(PAGE);
  if (ran?.ok === true && ran.stdout.includes("more.")) return ran.ms / 1000;
  throw new Fault("bench.load-failed", `${PAGE}: ${ran?.stderr} ${ran?.stdout.slice(-300)}`);
}

function toFigures(ours: readonly Trial[], theirs: readonly Trial[] | undefined): Figure[] {
  const of = (trials: readonly Trial[] | undefined, pick: (trial: Trial) => number) =>
    trials && median(trials.map(pick));
  const name = "certificate_statuses of 20,000 certificates";
  const again = median(ours.map(({ againS }) => againS));
  return [
    figure(`${name}, first after a start, worst`, worst(ours.map(({ firstS }) => firstS)), "s", {
      ...LIST_GOAL,
      baseline: of(theirs, ({ firstS }) => firstS),
    }),
    figure(`${name}, again, median`, again, "s", {
      ...LIST_GOAL,
      baseline: of(theirs, ({ againS }) => againS),
    }),
    figure(`${PAGE}, median`, median(ours.flatMap(({ pagesS }) => pagesS)), "s", PAGE_GOAL),
  ];
}
