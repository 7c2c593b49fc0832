// What a courier is told: a file that the daemon renders, complete on its own, so that the courier
// runs without daemon and etcd.

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";

const Listen = z.strictObject({ address: z.string(), port: z.int().min(0).max(65_535) });

const Config = z.strictObject({
  format: z.literal(1),
  /** This member. */
  id: z.string(),
  /** Where PuppetDB's clients connect, with Puppet certificates. */
  listen: Listen,
  /** Where other couriers connect, with edge client certificates. */
  peerListen: Listen,
  /** Files: this server's Puppet certificate. */
  tls: z.strictObject({ cert: z.string(), key: z.string(), ca: z.string(), crl: z.string() }),
  /** Files: certificates of the edge CA. */
  peerTls: z.strictObject({
    cert: z.string(),
    key: z.string(),
    clientCert: z.string(),
    clientKey: z.string(),
    ca: z.string(),
    /** What of the edge CA's is revoked; absent: nothing. */
    crl: z.string().optional(),
  }),
  /** Certnames that may speak to PuppetDB. */
  allow: z.array(z.string()),
  /** The other couriers. */
  couriers: z.array(
    z.strictObject({
      id: z.string(),
      address: z.string(),
      port: z.int(),
      /** The name in its certificate. */
      hostname: z.string(),
    }),
  ),
  /** Members that run a PuppetDB, in the order in which queries prefer them. */
  puppetdbs: z.array(z.string()),
  /** Those of them that take commands, but answer no queries yet. */
  filling: z.array(z.string()).default([]),
  /** Those that queries go to only while no other is fit: their servers are drained. */
  avoid: z.array(z.string()).default([]),
  /** By PuppetDB: the newest order to take it with what it has. Any text, another one each time. */
  accepted: z.record(z.string(), z.string()).default({}),
  /** The newest order to send queries to one of them, when it is fit; followed once. */
  use: z.strictObject({ id: z.string(), at: z.string() }).optional(),
  /** How long a node may be silent before it is deactivated, seconds; 0: for ever. */
  nodeTtlS: z.int().min(0).default(0),
  /** Whether all of them have one database: what one has stored, all have. */
  shared: z.boolean().default(false),
  /** Base URL of this server's PuppetDB; absent: it runs none. */
  localPuppetdb: z.string().optional(),
  /** Where reports go besides. */
  receivers: z.array(z.strictObject({ name: z.string(), url: z.url() })).default([]),
  stateDir: z.string(),
  /** Unix socket for the courier's own status; systemd may hold it. */
  statusSocket: z.string().optional(),
  /** What commands may take of the disk, bytes. */
  spoolBytesMax: z.int().positive().optional(),
});
export type CourierConfig = z.infer<typeof Config>;

/** Reads and checks the file. Throws Fault `courier.config`. */
export async function readCourierConfig(path: string): Promise<CourierConfig> {
  try {
    return Config.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    throw new Fault(
      "courier.config",
      `${path} is no courier's configuration: ${messageOf(error)}`,
      {
        hints: ["The daemon writes it anew: systemctl restart understudy"],
      },
    );
  }
}

export function renderCourierConfig(config: z.input<typeof Config>): string {
  return `${JSON.stringify(Config.parse(config), null, 2)}\n`;
}
