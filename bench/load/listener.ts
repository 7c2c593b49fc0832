// Makes one puppetserver's listener take both edges and agents, so that both ways lead to the same
// JVM: agents as at a stock puppetserver (RSA 4096 key in Java, the Puppet CA's certificates
// accepted), edges as before. Identity comes from headers either way, so the load sends them itself
// when it goes straight.

import type { LabHost } from "../../lab/host.ts";

const FOLDER = "/etc/puppet/bench-listener";
const WEBSERVER = "/etc/puppet/puppetserver/conf.d/webserver.conf";
const EDGE_CA = "/var/lib/understudy/pki/authorities/edge";
const LISTENER = "/var/lib/understudy/pki/listener";
const PUPPET_CA = "/etc/puppet/puppetserver/ca";
const RESTART_MS_MAX = 300_000;

/** Opens the listener of `server` to agents and restarts its puppetserver. */
export async function openListener(server: LabHost): Promise<void> {
  await server.run(["bash", "-e"], { input: renderOpening(server.fqdn), withinMs: RESTART_MS_MAX });
}

/** Puts the listener back as it was; nothing to put back is no error. */
export async function closeListener(server: LabHost): Promise<void> {
  const back = `mv ${WEBSERVER}.bench ${WEBSERVER} && rm -r ${FOLDER}`;
  const script = `[ ! -e ${WEBSERVER}.bench ] || { ${back} && systemctl restart puppetserver; }`;
  await server.run(script, { withinMs: RESTART_MS_MAX });
}

/**
 * The script that opens it: a key and certificate like stock's, with the names that edges check;
 * both CAs and both CRLs trusted.
 */
export function renderOpening(fqdn: string): string {
  const settings = {
    "ssl-cert": "cert.pem",
    "ssl-key": "key.pem",
    "ssl-ca-cert": "ca.pem",
    "ssl-crl-path": "crl.pem",
  };
  const edits = Object.entries(settings).map(
    ([key, file]) => `sed -i -E 's|^( *"?${key}"?:).*|\\1 "${FOLDER}/${file}"|' ${WEBSERVER}`,
  );
  return `mkdir -p ${FOLDER} && cd ${FOLDER}
openssl req -new -newkey rsa:4096 -nodes -subj /CN=${fqdn} -keyout key.pem -out request.pem
names=$(openssl x509 -in ${LISTENER}/listener.crt -noout -ext subjectAltName |
  tail -n 1 | sed 's/IP Address:/IP:/g; s/ //g')
printf "subjectAltName=$names,DNS:${fqdn}\\nextendedKeyUsage=serverAuth\\n" > extensions
openssl x509 -req -in request.pem -CA ${EDGE_CA}.crt -CAkey ${EDGE_CA}.key -days 2 \\
  -set_serial "0x$(openssl rand -hex 8)" -extfile extensions -out cert.pem
cat ${LISTENER}/ca.crt ${PUPPET_CA}/ca_crt.pem > ca.pem
cat ${LISTENER}/ca.crl ${PUPPET_CA}/ca_crl.pem > crl.pem
chown -R puppet:puppet . && chmod -R u=rwX,go=rX .
[ -e ${WEBSERVER}.bench ] || cp -p ${WEBSERVER} ${WEBSERVER}.bench
${edits.join("\n")}
grep -c ${FOLDER} ${WEBSERVER} | grep -qx ${edits.length}
systemctl restart puppetserver
`;
}
