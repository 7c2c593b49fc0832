// A manifest for tests to change one thing in.

import { Manifest } from "../manifest.ts";

export function manifestOf(more: Partial<Manifest> = {}): Manifest {
  return Manifest.parse({
    format: 1,
    madeBy: "1.0.0",
    at: "2026-11-20T10:00:00.000Z",
    cluster: { id: "00000000-0000-4000-8000-000000000000", generation: 1 },
    member: "s1.lab.test",
    source: "etcd",
    revision: 41,
    settings: { sharedName: "puppet.lab.test", virtualIps: ["10.88.0.10/24"] },
    issuer: {
      subject: "CN=Puppet CA: s1.lab.test",
      fingerprint: "AB:CD",
      notAfter: "2041-11-20T10:00:00.000Z",
    },
    serialNext: 0x81,
    crlNumber: 7,
    certificates: 3,
    signed: 2,
    requests: 1,
    revoked: 1,
    rootKey: true,
    ...more,
  });
}
