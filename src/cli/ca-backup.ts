// understudy ca backup: the CA as one encrypted file. The daemon isn't asked: it may be what hangs.

import type { Command } from "commander";
import { Fault } from "../base/fault.ts";
import { thereFault, writeBackup } from "../ca/backup/backup.ts";
import { readSnapshot } from "../ca/backup/snapshot.ts";
import { requireNodeFile } from "../cluster/node-file.ts";
import { readLeaf } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { readKeptView, voterEndpoints } from "../cluster/view.ts";
import { createEtcd } from "../etcd/client.ts";
import { exists } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { readPuppetLayout } from "../host/puppet-layout.ts";
import { removedFault } from "../setup/stand-down.ts";
import { onInterruption } from "../setup/steps.ts";
import { PASSPHRASE_OPTION, withBackup } from "./backup-file.ts";
import { renderCounts, renderManifest } from "./ca-backup-text.ts";
import { createOutput, type Output } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";
import { readPassphrase } from "./passphrase.ts";

interface BackupFlags {
  check?: boolean;
  force?: boolean;
  passphraseFile?: string;
  json?: boolean;
}

export function addCaBackup(ca: Command): void {
  ca.command("backup")
    .argument("<file>", "where the backup goes")
    .description("write the CA, its key too, to one encrypted file: for when every server is lost")
    .option("--check", "read a backup through and say what is in it; write nothing")
    .option("--force", "replace the file if it is there")
    .option(...PASSPHRASE_OPTION)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca backup /mnt/safe/ca.backup --passphrase-file /root/ca.passphrase\n" +
        "  understudy ca backup --check /mnt/safe/ca.backup\n\n" +
        "On any server of the cluster. Without etcd's quorum, or without etcd, it is made of this server's own\n" +
        "copy of the record, and says so. Keep it, and its passphrase, away from the servers.\n\n" +
        "Exit code: 0 written, or whole with --check; 1 failed, and nothing is left of it.",
    )
    .action(async (path: string, flags: BackupFlags) => {
      const output = createOutput(flags.json === true);
      if (flags.check === true) await check(path, flags, output);
      else await backUp(path, flags, output);
    });
}

async function backUp(path: string, flags: BackupFlags, output: Output): Promise<void> {
  requireRoot();
  const node = await requireServer();
  const force = flags.force === true;
  if (!force && (await exists(path))) throw thereFault(path);
  const passphrase = await readPassphrase(flags.passphraseFile, true);
  // cron mails whatever is said.
  const report = (detail: string) => {
    if (process.stderr.isTTY) output.progress(`   … ${detail}`);
  };
  const signal = onInterruption(report);
  const [{ cadir }, snapshot] = await Promise.all([readPuppetLayout(), readRecord(node)]);
  if (snapshot.source === "copy") {
    output.progress(` ! of this server's own copy of the record: ${snapshot.because}`);
  }
  for (const key of snapshot.mirror.unreadable.keys()) {
    output.progress(` ! ${key} can't be understood, and is not in it`);
  }
  const manifest = await writeBackup({
    snapshot,
    node,
    cadir,
    path,
    force,
    passphrase,
    report,
    signal,
  });
  output.result(
    { file: path, ...manifest },
    [
      `${path}: ${renderCounts(manifest)}, and the CA's key.`,
      ...renderManifest(manifest),
      "Copy it off this server. Without its passphrase nobody opens it, you neither.",
      `Try it: understudy ca backup --check ${path}`,
    ].join("\n"),
  );
}

async function check(path: string, flags: BackupFlags, output: Output): Promise<void> {
  const { manifest } = await withBackup(path, flags.passphraseFile, async (checked) => checked);
  output.result(
    { file: path, ...manifest },
    [
      `${path} is whole: ${renderCounts(manifest)}, and the CA's key.`,
      ...renderManifest(manifest),
    ].join("\n"),
  );
}

/** This member. Throws Fault `cluster.not-a-member`, `member.removed`, `ca.not-here`. */
async function requireServer(): Promise<NodeFile> {
  const node = await requireNodeFile();
  if (node.phase === "removed") throw removedFault(node);
  if (node.role === "server") return node;
  throw new Fault("ca.not-here", "this member holds no certificate authority: it is no server", {
    hints: ["Run the command on a member of role server: understudy member list"],
  });
}

async function readRecord(node: NodeFile) {
  const view = await readKeptView();
  const voters = view === undefined ? [] : voterEndpoints(view, node.id);
  const { ca, cert, key } = await readLeaf("etcd");
  const endpoints = voters.length > 0 ? voters : node.etcdEndpoints;
  const etcd = createEtcd({ endpoints, tls: { ca, cert, key } });
  try {
    return await readSnapshot({ etcd, journal: PATHS.journal, member: node });
  } finally {
    etcd.close();
  }
}
