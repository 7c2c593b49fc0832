// Where Understudy keeps things on a server. One list, so that units, package and code agree.

const ETC = "/etc/understudy";
const STATE = "/var/lib/understudy";
const RUN = "/run/understudy";

export const PATHS = {
  nodeFile: `${ETC}/node.json`,
  /** Executables that are run on events. */
  hooks: `${ETC}/hooks.d`,
  state: STATE,
  run: RUN,
  /** The keys of our own three CAs; on servers only, root only. */
  authorities: `${STATE}/pki/authorities`,
  /** What etcd and the daemon's etcd client use; readable by understudy-etcd. */
  etcdPki: `${STATE}/pki/etcd`,
  /** The daemon's identity among members. */
  controlPki: `${STATE}/pki/control`,
  /** HAProxy's client certificate and the CA backend's server certificate. */
  edgePki: `${STATE}/pki/edge`,
  /** The certificate of puppetserver's own listener; readable by puppetserver. */
  listenerPki: `${STATE}/pki/listener`,
  etcd: `${STATE}/etcd`,
  edge: `${STATE}/edge`,
  vip: `${STATE}/vip`,
  /** What the courier is told; its unit doesn't start without it. */
  courierConfig: `${ETC}/courier.json`,
  /** Copies of the certificates that the courier uses; readable by understudy-courier. */
  courierPki: `${STATE}/pki/courier`,
  /** PuppetDB commands that aren't everywhere yet. */
  courier: `${STATE}/courier`,
  /** What `puppetdb enable` has changed here, so that it can be put back. */
  puppetdbFile: `${STATE}/puppetdb.json`,
  journal: `${STATE}/journal`,
  /** What happened, as this member tells it. */
  history: `${STATE}/history`,
  /** Reports of the drills that were driven from here. */
  drills: `${STATE}/drills`,
  /** Key and certificate of this server's synthetic agent. */
  probe: `${STATE}/probe`,
  /** What an upgrade of this server's packages is to do, and what came of it. */
  upgrade: `${STATE}/upgrade`,
  /** The last view of the cluster that was read from the record. */
  viewFile: `${STATE}/view.json`,
  /** The access tokens that were last read from the record: hashes only. */
  accessFile: `${STATE}/access.json`,
  /** Passwords and URLs of the channels for alerts, as they were last read from the record. */
  alertSecretsFile: `${STATE}/alert-secrets.json`,
  /** What this server tells of a record that nobody can write. */
  alertsFile: `${STATE}/alerts.json`,
  /** What the CA directory had when it was taken over, and what was odd in it. */
  takeoverReport: `${STATE}/ca-takeover.json`,
  /** There where the CA directory is stock Puppet Server's again: the daemon leaves it alone. */
  handedOver: `${STATE}/ca-handed-over.json`,
  /** There while a booting edge that is alone takes no agents; its unit knows the path too. */
  isolatedEdgeWaits: `${STATE}/isolated-edge-waits`,
  /** What a running switchover of addresses has changed here; a boot forgets it. */
  switchover: `${RUN}/switchover`,
  apiSocket: `${RUN}/api.sock`,
  caSocket: `${RUN}/ca.sock`,
  filesSocket: `${RUN}/files.sock`,
  courierSocket: `${RUN}/courier.sock`,
} as const;

/** Our systemd units, which the package brings. */
export const UNITS = {
  daemon: "understudy.service",
  etcd: "understudy-etcd.service",
  edge: "understudy-edge.service",
  vip: "understudy-vip.service",
  files: "understudy-files.service",
  filesSocket: "understudy-files.socket",
  courier: "understudy-courier.service",
  courierSocket: "understudy-courier.socket",
  switchoverOld: "understudy-switchover@old.service",
  switchoverNew: "understudy-switchover@new.service",
  /** Made for each upgrade, not of the package: it outlives the daemon that the package restarts. */
  upgrade: "understudy-upgrade.service",
} as const;

/**
 * The ports that a server listens on. All but `edge`, `api` and `health` are for members only;
 * those two are open only where `understudy api listen` has said so, perhaps with other numbers.
 */
export const PORTS = {
  edge: 8140,
  puppetserver: 8141,
  authority: 8142,
  courier: 8081,
  courierPeer: 8143,
  control: 9140,
  etcdClient: 9141,
  etcdPeer: 9142,
  api: 9143,
  health: 9144,
} as const;
