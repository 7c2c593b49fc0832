// Preflight's checks of Puppet on this server: packages, names, files, CA and certificate. Pure.

import { ALT_NAMES_MAX } from "../cluster/schema.ts";
import { PORTS, UNITS } from "../host/paths.ts";
import { bad, type Check, ok } from "./check.ts";
import type { PreflightFacts } from "./facts.ts";

export function checkPuppet(kind: "init" | "join", facts: PreflightFacts): Check[] {
  return [
    checkPackages(facts),
    checkCertname(facts),
    checkSharedName(facts),
    checkConfiguration(facts),
    ...(kind === "init" ? [checkCaRules(facts), checkHostCertificate(facts)] : []),
    checkCaConf(facts, kind),
    checkCaPort(facts),
    checkReadOnly(facts),
    checkCaDirectory(facts, kind),
  ];
}

function checkPackages({ puppet }: PreflightFacts): Check {
  if ("kind" in puppet) {
    return ok("puppetserver", `${puppet.version ?? "unknown version"}, ${puppet.kind} packages`);
  }
  const remedy =
    puppet.code === "host.no-puppetserver"
      ? "apt-get install puppetserver, or OpenVox Server. Leave its configuration as it is."
      : puppet.hints.join(" ");
  return bad("fatal", "puppetserver", { code: puppet.code, found: puppet.message, remedy });
}

function checkCertname(facts: PreflightFacts): Check {
  const { certname, certnameResolvesTo, address } = facts;
  if (certnameResolvesTo.includes(address)) return ok("certname", certname);
  const found =
    certnameResolvesTo.length === 0
      ? `${certname} doesn't resolve`
      : `${certname} resolves to ${certnameResolvesTo.join(", ")}, not to ${address}`;
  const remedy = "Fine if agents use the shared name only; else correct DNS or /etc/hosts.";
  return bad("warning", "certname", { code: "setup.name", found, remedy });
}

function checkSharedName(facts: PreflightFacts): Check {
  const { sharedName, sharedNameResolvesTo, virtualIps } = facts;
  const expected = virtualIps.map((vip) => vip.address);
  if (sharedNameResolvesTo.length === 0) {
    const remedy =
      "Agents need it: add it to DNS (or to /etc/hosts here, for the server's own agent).";
    return bad("warning", "shared name", {
      code: "setup.shared-name",
      found: `${sharedName} doesn't resolve`,
      remedy,
    });
  }
  const found = `${sharedName} is ${sharedNameResolvesTo.join(", ")}`;
  if (expected.length === 0 || sharedNameResolvesTo.some((each) => expected.includes(each))) {
    return ok("shared name", found);
  }
  const remedy = `Point it to ${expected.join(" or ")} in DNS.`;
  return bad("warning", "shared name", { code: "setup.shared-name", found, remedy });
}

function checkConfiguration({ configuration }: PreflightFacts): Check {
  const name = "puppetserver's configuration";
  if (configuration === undefined) return ok(name, "not looked at");
  if (!("problem" in configuration)) return ok(name, "understood");
  return bad("fatal", name, {
    code: "puppetserver.config-unknown",
    found: configuration.problem,
    remedy: configuration.hints.join(" "),
  });
}

function checkCaRules({ ownCaRules }: PreflightFacts): Check {
  const name = "rules for /puppet-ca";
  if (ownCaRules === undefined) return ok(name, "not looked at");
  if (ownCaRules.length === 0) return ok(name, "stock");
  return bad("warning", name, {
    code: "setup.ca-rules",
    found: `auth.conf has rules of its own: ${ownCaRules.join(", ")}`,
    remedy:
      "They lose their effect: the cluster's CA lets certificates with pp_cli_auth administer it, as stock does.",
  });
}

function checkCaConf({ caConf }: PreflightFacts, kind: "init" | "join"): Check {
  const name = "ca.conf";
  if (caConf === undefined) return ok(name, "none");
  if ("problem" in caConf) {
    const remedy = "Correct that line: the cluster's CA follows this file as stock does.";
    return bad("fatal", name, { code: "ca.conf", found: caConf.problem, remedy });
  }
  if (!caConf.infraCrl || kind === "join") return ok(name, "understood");
  return bad("warning", name, {
    code: "setup.infra-crl",
    found: "enable-infra-crl: agents get a CRL of revoked servers only",
    remedy: "From the cluster they get the whole CRL, which has those too.",
  });
}

function checkHostCertificate({ hostCertificate }: PreflightFacts): Check {
  const name = "this server's certificate";
  if (hostCertificate === undefined) return ok(name, "none: one will be signed");
  const { path, altNames, ours } = hostCertificate;
  if (altNames.length > ALT_NAMES_MAX) {
    return bad("fatal", name, {
      code: "setup.names",
      found: `${path} has ${altNames.length} alternative names`,
      remedy: `A cluster's certificates keep ${ALT_NAMES_MAX}. Have it signed anew with fewer first.`,
    });
  }
  if (ours === true) return ok(name, "of the CA here");
  return bad("warning", name, {
    code: "setup.foreign-certificate",
    found: `${path} is not of the CA here`,
    remedy:
      "It is replaced, and kept beside. Agents that trust only the CA which signed it will refuse this server.",
  });
}

function checkCaPort({ caPort }: PreflightFacts): Check {
  const name = "port of the CA";
  if (caPort === undefined || caPort === String(PORTS.edge)) return ok(name, "the agents' one");
  return bad("warning", name, {
    code: "setup.ca-port",
    found: `puppet.conf has ca_port = ${caPort}`,
    remedy: `Take it out of every puppet.conf afterwards: the CA is asked on ${PORTS.edge}, by puppetserver ca too.`,
  });
}

function checkReadOnly({ readOnly }: PreflightFacts): Check {
  const name = "Puppet's directories";
  if (readOnly.length === 0) return ok(name, "writable to the daemon");
  return bad("fatal", name, {
    code: "setup.read-only",
    found: `the daemon's unit may not write to ${readOnly.join(", ")}`,
    remedy: `systemctl edit ${UNITS.daemon}, with the lines "[Service]" and "ReadWritePaths=${readOnly.join(" ")}".`,
  });
}

function checkCaDirectory({ caDirectory }: PreflightFacts, kind: "init" | "join"): Check {
  const name = "CA directory";
  if ("problem" in caDirectory) {
    return bad("fatal", name, {
      code: "ca.directory-partial",
      found: caDirectory.problem,
      remedy:
        "Restore what is missing from a backup. It is never overwritten. Moved away, a new CA is made: every agent must then enrol anew.",
    });
  }
  if (caDirectory.state === "absent") {
    return ok(name, kind === "init" ? "none: a new CA will be made" : "none");
  }
  if (kind === "init") return ok(name, "there is one: it is kept and taken over as it is");
  return bad("fatal", name, {
    code: "join.own-ca",
    found: "this server has a CA of its own",
    remedy: `If it is of no use any more: systemctl stop puppetserver, then move ${caDirectory.path} away, and the ssl directory, unless its certificate is of the cluster's CA.`,
  });
}
