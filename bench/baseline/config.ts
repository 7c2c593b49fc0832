// The hand-assembled design that guides describe, as files: keepalived with its defaults, HAProxy
// in TCP mode, the CA on the first server. Pure. Settings are those of the guides, not tuned either
// way.

import { SHARED_NAME, VIRTUAL_ADDRESS } from "../../lab/plan.ts";

export interface BaselineServer {
  /** "s1" */
  name: string;
  /** "s1.lab.test" */
  fqdn: string;
  address: string;
}

/** Where puppetservers listen: HAProxy has the agents' port. */
export const PUPPETSERVER_PORT = 8141;

/** keepalived.conf: VRRP version 2, one advert a second. */
export function renderKeepalived(server: BaselineServer, priority: number): string {
  return `global_defs {
    router_id ${server.name}
    script_user root
    enable_script_security
}
vrrp_script chk_haproxy {
    script "/usr/bin/pgrep -x haproxy"
    interval 2
    fall 2
    rise 2
}
vrrp_instance PUPPET {
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id 51
    priority ${priority}
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass puppet12
    }
    virtual_ipaddress {
        ${VIRTUAL_ADDRESS}/24
    }
    track_script {
        chk_haproxy
    }
}
`;
}

/** haproxy.cfg, the same on each server. */
export function renderHaproxy(servers: readonly BaselineServer[]): string {
  const backends = servers.map(
    ({ name, address }) => `    server ${name} ${address}:${PUPPETSERVER_PORT} check`,
  );
  return `global
    log /dev/log local0
    chroot /var/lib/haproxy
    pidfile /run/haproxy.pid
    maxconn 4000
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode    tcp
    log     global
    option  tcplog
    option  dontlognull
    option  redispatch
    retries 3
    timeout queue   1m
    timeout connect 10s
    timeout client  1m
    timeout server  1m
    timeout check   10s
    maxconn 3000
frontend puppet
    bind *:8140
    default_backend puppetservers
backend puppetservers
    balance roundrobin
    option  ssl-hello-chk
${backends.join("\n")}
`;
}

/** puppet.conf of a server; the first one is the CA. */
export function renderPuppetConf(server: BaselineServer, ca: BaselineServer): string {
  return `[main]
certname = ${server.fqdn}
server = ${SHARED_NAME}
ca_server = ${ca.fqdn}
ca_port = ${PUPPETSERVER_PORT}
[server]
autosign = true
`;
}

/** What agents need beside the shared name: certificates come straight from the CA's own port. */
export function agentSettings(ca: BaselineServer): Record<string, string> {
  return { ca_server: ca.fqdn, ca_port: `${PUPPETSERVER_PORT}` };
}

export const WEBSERVER_CONF = `webserver: {
    access-log-config: /etc/puppet/puppetserver/request-logging.xml
    client-auth: want
    ssl-host: 0.0.0.0
    ssl-port: ${PUPPETSERVER_PORT}
}
`;

/** services.d/ca.cfg of servers that aren't the CA. */
export const CA_DISABLED = `puppetlabs.services.ca.certificate-authority-disabled-service/certificate-authority-disabled-service
puppetlabs.trapperkeeper.services.watcher.filesystem-watch-service/filesystem-watch-service
`;

export const CA_CONF = `certificate-authority: {
    allow-subject-alt-names: true
}
`;
