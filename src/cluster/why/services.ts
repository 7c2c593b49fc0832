// Why the certificate authority and PuppetDB are as they are. Pure.

import { sumPuppetdbs } from "../courier-status.ts";
import { ejectedIn } from "../ejection-status.ts";
import type { Case, Said } from "./explain.ts";
import { happened, now, planned, warned } from "./lines.ts";

export function explainCa(given: Case): Said {
  const { members, etcd } = given.status;
  const cas = members.flatMap(({ member, local }) =>
    local?.ca === undefined ? [] : [{ id: member.id, ca: local.ca }],
  );
  const ejected = ejectedIn(members);
  const serving = cas.filter(({ ca }) => ca.serving && ca.because === "");
  const newest = Math.max(0, ...cas.map(({ ca }) => ca.crlNumber));
  const behind = members.filter(({ local }) => (local?.edge?.confirmedCrl ?? newest) < newest);
  const todo: string[] = [];
  let verdict = `The CA serves on ${serving.length} of ${cas.length} servers that answer; the newest CRL is ${newest}.`;
  if (ejected !== undefined) {
    verdict = `The cluster's CA has ended: stock Puppet Server on ${ejected.to} has it.`;
    todo.push(`On ${ejected.to}: puppetserver ca list. See /usr/share/doc/understudy/eject.md`);
  } else if (!etcd.quorum) {
    verdict += " Nothing can be signed or revoked: etcd has no quorum. What was signed is served.";
    todo.push("understudy why not-ready");
  } else if (behind.length > 0) {
    const ids = behind.map(({ member }) => member.id).join(", ");
    verdict += ` Not every edge refuses all that is revoked: ${ids}.`;
    todo.push("It is tried again by itself; a dead server: understudy member remove NAME");
  } else if (serving.length < cas.length)
    todo.push("understudy ca verify, on the server that is named");
  return {
    verdict,
    todo,
    evidence: [
      ...happened(given, ({ kind, what }) => CA_KINDS.has(kind) || /\bCRL\b/.test(what)),
      ...cas.map(({ id, ca }) =>
        now(
          id,
          `${ca.serving ? "serves" : "doesn't serve"}, CRL ${ca.crlNumber}, ${ca.requests} requests wait${ca.because === "" ? "" : `: ${ca.because}`}`,
        ),
      ),
      ...warned(given, (text) => /\bCAs?\b|CRL|clock|certificate/i.test(text)),
    ],
  };
}

const CA_KINDS = new Set(["ca", "crl", "revocation", "clock", "certificate"]);

export function explainPuppetdb(given: Case): Said {
  const { members } = given.status;
  const puppetdbs = sumPuppetdbs(members);
  if (!members.some(({ member }) => member.courier === true)) {
    return {
      verdict: "No courier for PuppetDB runs here.",
      evidence: [],
      todo: ["understudy puppetdb enable"],
    };
  }
  const fit = puppetdbs.filter((each) => each.fit);
  const used = puppetdbs.filter(({ usedBy }) => usedBy.length > 0).map(({ id }) => id);
  const asked = used.length === 0 ? "nowhere" : `to ${used.join(" and ")}`;
  const verdict = `${fit.length} of ${puppetdbs.length} PuppetDBs may answer; queries go ${asked}.`;
  const unfit = puppetdbs.filter((each) => !each.fit);
  return {
    verdict,
    todo: unfit.map(({ id }) => `On ${id}: understudy puppetdb status; journalctl -u puppetdb`),
    evidence: [
      ...happened(given, ({ kind }) => kind === "puppetdb"),
      ...planned(given, (_, loop) => loop === "courier"),
      ...puppetdbs.map(({ id, fit, because, commands, usedBy }) => {
        const state = fit ? "may answer" : `may not answer: ${because}`;
        const asks = usedBy.length === 0 ? "nobody asks it" : `${usedBy.join(", ")} ask it`;
        return now(id, `${state}; ${asks}; ${commands} commands wait for it`);
      }),
      ...warned(given, (text) => /PuppetDB|courier/.test(text)),
    ],
  };
}
