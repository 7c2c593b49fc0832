// services.d/ca.cfg: puppetserver's own CA service off, as the cluster's CA answers /puppet-ca; on
// again where the cluster's has ended. The file system watcher stays, since without it Jetty never
// reads a new CRL.

import { unknownConfig } from "./hocon-places.ts";

const CA = "puppetlabs.services.ca.certificate-authority-service/certificate-authority-service";
const NO_CA =
  "puppetlabs.services.ca.certificate-authority-disabled-service/certificate-authority-disabled-service";
const WATCH =
  "puppetlabs.trapperkeeper.services.watcher.filesystem-watch-service/filesystem-watch-service";

/**
 * `text` with the CA service off, or on again. Throws Fault `puppetserver.config-unknown` for a
 * service that isn't known.
 */
export function editCaCfg(text: string, file: string, service: "off" | "on" = "off"): string {
  const lines = text.split("\n");
  const names = lines.map((line) => line.trim());
  names.forEach((name, index) => {
    if (name === "" || name.startsWith("#") || [CA, NO_CA, WATCH].includes(name)) return;
    throw unknownConfig(
      file,
      index + 1,
      `only the CA service and the file watcher were expected, found ${name}`,
    );
  });
  const [wanted, other] = service === "on" ? [CA, NO_CA] : [NO_CA, CA];
  const edited = lines.map((line, index) => (names[index] === other ? `#${other}` : line));
  if (!names.includes(wanted)) {
    const commented = names.findIndex(
      (name) => name.startsWith("#") && name.replace(/^[#\s]+/, "") === wanted,
    );
    if (commented === -1) append(edited, wanted);
    else edited[commented] = wanted;
  }
  if (!names.includes(WATCH)) append(edited, WATCH);
  return edited.join("\n");
}

/** Whether the CA service is on in `text`: its line stands there uncommented. */
export function caServiceOn(text: string): boolean {
  return text.split("\n").some((line) => line.trim() === CA);
}

/** Adds a line before the trailing empty ones. */
function append(lines: string[], line: string): void {
  let end = lines.length;
  while (end > 0 && lines[end - 1]?.trim() === "") end -= 1;
  lines.splice(end, 0, line);
  if (end === lines.length - 1) lines.push("");
}
