// The few facts that a synthetic agent sends: those that most sites' code looks at, of this server.
// Pure.

export interface FactSources {
  /** The text of /etc/os-release. */
  osRelease: string;
  certname: string;
  hostname: string;
  address: string;
  kernelRelease: string;
  puppetVersion: string | undefined;
}

const FAMILIES: Record<string, string> = {
  debian: "Debian",
  ubuntu: "Debian",
  rhel: "RedHat",
  centos: "RedHat",
  fedora: "RedHat",
  almalinux: "RedHat",
  rocky: "RedHat",
  ol: "RedHat",
  sles: "Suse",
};
const NAMES: Record<string, string> = {
  debian: "Debian",
  ubuntu: "Ubuntu",
  rhel: "RedHat",
  centos: "CentOS",
  fedora: "Fedora",
  almalinux: "AlmaLinux",
  rocky: "Rocky",
  ol: "OracleLinux",
  sles: "SLES",
};

export function factsFrom(sources: FactSources): Record<string, unknown> {
  const { certname, hostname, address, kernelRelease, puppetVersion } = sources;
  const release = readOsRelease(sources.osRelease);
  const id = release["ID"] ?? "";
  const full = release["VERSION_ID"] ?? "";
  const [major = "", minor = ""] = full.split(".");
  const name = NAMES[id] ?? id;
  return {
    clientcert: certname,
    ...(puppetVersion === undefined
      ? {}
      : { clientversion: puppetVersion, puppetversion: puppetVersion }),
    understudy_probe: true,
    kernel: "Linux",
    kernelrelease: kernelRelease,
    fqdn: certname,
    hostname,
    os: {
      name,
      family: FAMILIES[id] ?? name,
      release: { full, major, minor },
      architecture: "amd64",
    },
    osfamily: FAMILIES[id] ?? name,
    operatingsystem: name,
    networking: { fqdn: certname, hostname, ip: address },
    ipaddress: address,
    is_virtual: false,
    virtual: "physical",
  };
}

/** NAME=VALUE lines, the value perhaps in quotes (os-release(5)). */
export function readOsRelease(text: string): Record<string, string> {
  const found = text.matchAll(/^([A-Z_]+)=("?)([^"\n]*)\2$/gm);
  return Object.fromEntries([...found].map(([, name = "", , value = ""]) => [name, value]));
}
