// The requests of one agent-shaped run, without the catalog: its node, its plugins, and the files
// that its catalog takes from a module. Pure.

const SOURCED_FILES = 5;

/** Eight paths as agents of Puppet 7 ask for them. */
export function agentPaths(certname: string): string[] {
  const plugins = query({
    environment: "production",
    links: "follow",
    checksum_type: "sha256",
    recurse: "true",
    source_permissions: "ignore",
    ignore: ".svn",
  });
  const file = query({
    environment: "production",
    links: "manage",
    checksum_type: "sha256",
    source_permissions: "ignore",
  });
  const node = query({
    environment: "production",
    configured_environment: "production",
  });
  return [
    `/puppet/v3/node/${certname}?${node}`,
    `/puppet/v3/file_metadatas/pluginfacts?${plugins}`,
    `/puppet/v3/file_metadatas/plugins?${plugins}`,
    ...Array.from(
      { length: SOURCED_FILES },
      (_, index) => `/puppet/v3/file_metadata/modules/demo/sourced-${index + 1}?${file}`,
    ),
  ];
}

function query(parameters: Record<string, string>): string {
  return new URLSearchParams(parameters).toString();
}

/** What an edge would say of the agent; for those who go around it. */
export function identityHeaders(certname: string, certificate: string): Record<string, string> {
  return {
    "x-client-verify": "SUCCESS",
    "x-client-dn": `CN=${certname}`,
    "x-client-cert": encodeURIComponent(certificate),
  };
}
