// understudy init: this server becomes the first of a cluster.

import type { Command } from "commander";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { Certname, Network, VirtualIp } from "../cluster/schema.ts";
import { readNodeFile } from "../cluster/node-file.ts";
import { readFqdn } from "../host/facts.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";
import { CreatedToken } from "../setup/contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { initNode, type InitOptions, initSteps } from "../setup/init.ts";
import { observeHost } from "../setup/observe.ts";
import { guessOwnAddress } from "../setup/own-address.ts";
import { decidePreflight, renderChecks, requirePreflight } from "../setup/preflight.ts";
import { runSteps } from "../setup/steps.ts";
import { createOutput, EXIT } from "./output.ts";
import { passPreflight, requireRoot } from "./pass-preflight.ts";
import { renderJoinHint } from "./token.ts";

const TOKEN_MS = 3_600_000;

interface InitFlags {
  name: string;
  vip: string[];
  acceptProxy: string[];
  address?: string;
  dryRun?: boolean;
  json?: boolean;
}

export function addInit(program: Command): void {
  program
    .command("init")
    .description("make this Puppet server the first of a highly available cluster")
    .requiredOption("--name <name>", "the shared name that agents use, as in puppet.example.com")
    .option(
      "--vip <address/prefix>",
      "a virtual IP for the shared name; may be given several times",
      collect,
      [],
    )
    .option("--address <address>", "this server's address, where the other servers reach it")
    .option(
      "--accept-proxy <from>",
      "take the PROXY protocol from this balancer or network; repeatable",
      collect,
      [],
    )
    .option("--dry-run", "check everything, print what would be done, change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(async (flags: InitFlags) => {
      const output = createOutput(flags.json === true);
      requireRoot();
      const sharedName = check(Certname, "--name", flags.name);
      const virtualIps = flags.vip.map((vip) => check(VirtualIp, "--vip", vip));
      const kept = await readNodeFile();
      const certname = kept?.id ?? (await ownCertname());
      const address = flags.address ?? kept?.address ?? (await guessOwnAddress(certname));
      const options: InitOptions = {
        sharedName,
        virtualIps,
        address,
        acceptProxyFrom: flags.acceptProxy.map((from) => check(Network, "--accept-proxy", from)),
      };
      const node = await initNode(certname, options);
      const resumed = kept !== undefined;
      const wanted = { sharedName, virtualIps, address, resumed, caIsOurs: resumed };
      const { facts, layout } = await observeHost(wanted);
      const checks = decidePreflight("init", facts);
      if (flags.dryRun === true) {
        const steps = renderPlan(node.id, options);
        output.result({ checks, steps }, [renderChecks(checks), "", ...steps].join("\n"));
        if (!output.json) requirePreflight(checks);
        if (checks.some(({ verdict }) => verdict === "fatal")) process.exitCode = EXIT.failed;
        return;
      }
      const host = await passPreflight(checks, layout, output);
      await runSteps(initSteps(node, options, host), (line) => output.progress(line));
      const token = await callDaemon("POST", "/v1/tokens", {
        body: { role: "server", validMs: TOKEN_MS },
        answer: CreatedToken,
      });
      output.result(
        { id: node.id, sharedName, toleratedFailures: 0, join: token },
        `\nThis cluster has 1 server and tolerates 0 failures. ${renderJoinHint(token, "one hour")}`,
      );
    });
}

const HELP = `
What it does: makes the cluster's certificates, starts a shared record (etcd), takes over the Puppet CA that is
here or makes a new one, puts HAProxy on port 8140 and puppetserver behind it. Every file that it edits is kept
beside it as FILE.before-understudy. Interrupted, it is finished by the same command.

Exit code: 0 done, 1 refused or failed.`;

/** Commander's way of collecting an option that is given several times. */
export function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Validates an option where it enters. Throws Fault `cli.option`. */
export function check<S extends z.ZodType>(schema: S, option: string, value: string): z.infer<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const why = parsed.error.issues.map((issue) => issue.message).join("; ");
  throw new Fault("cli.option", `${option} "${value}": ${why}`);
}

export async function ownCertname(): Promise<string> {
  const layout = await readPuppetLayout().catch(() => undefined);
  return layout?.certname ?? readFqdn();
}

function renderPlan(id: string, options: InitOptions): string[] {
  const vips = options.virtualIps.join(", ");
  return [
    "It would, in this order:",
    "  1. make this cluster's own CAs (etcd, edge, control) and this server's certificates of them",
    "  2. start etcd as understudy-etcd.service, ports 9141 and 9142",
    `  3. take over the Puppet CA that is here, or make "Puppet CA: ${id}"`,
    "  4. start understudy.service",
    `  5. have this server's Puppet certificate carry ${options.sharedName}`,
    "  6. move puppetserver to port 8141 (webserver.conf, auth.conf, ca.cfg, puppet.conf), and restart it",
    "  7. start HAProxy as understudy-edge.service on port 8140; agents' requests wait there meanwhile",
    ...(vips === "" ? [] : [`  8. hold ${vips} (keepalived as understudy-vip.service)`]),
    "Nothing was changed.",
  ];
}
