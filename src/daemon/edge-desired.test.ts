import assert from "node:assert/strict";
import { test } from "node:test";
import { Backend, Member, Meta, Settings } from "../cluster/schema.ts";
import { edgesOf, type View } from "../cluster/view.ts";
import { desiredEdge } from "./edge-desired.ts";

const FULL = "the disk of /var is full";

test("a puppetserver that calls itself unfit is the last resort", () => {
  const { backends } = desiredEdge(viewOf(["", FULL, ""]), HOST);
  assert.deepEqual(
    backends.map((each) => each.lastResort),
    [false, true, false],
  );
});

test("a drained member's puppetservers are the last resort", () => {
  const { backends } = desiredEdge(viewOf(["", "", FULL]), { ...HOST, out: ["s2.test"] });
  assert.deepEqual(
    backends.map((each) => each.lastResort),
    [false, true, true],
  );
});

test("members that leave get no requests, and the other servers' CAs are asked in order", () => {
  const view = viewOf(["", "", ""]);
  view.members[1] = { ...member("s2.test", ""), phase: "leaving" };
  const { backends, authorities } = desiredEdge(view, HOST);
  assert.deepEqual(
    backends.map(({ name }) => name),
    ["s1.test", "s3.test"],
  );
  assert.ok(!authorities.some(({ name }) => name === HOST.id));
  // Its edge takes agents until it has left, so it is told of revocations.
  assert.equal(edgesOf(view).length, 3);
});

test("when the CA has ended the edge asks the puppetserver that has it, on its own server too", () => {
  const view = viewOf(["", ""]);
  const ejected = { to: "s1.test", at: "2026-11-20T12:00:00Z", alone: false };
  for (const id of ["s1.test", "s2.test"]) {
    const { stockAuthority } = desiredEdge(view, { ...HOST, id, ejected });
    assert.deepEqual(stockAuthority, {
      name: "s1.test",
      host: "listener.s1.test.understudy",
      address: "10.0.0.1",
      port: 8150,
    });
  }
  const gone = desiredEdge(view, { ...HOST, ejected: { ...ejected, to: "s9.test" } });
  assert.equal(gone.stockAuthority, undefined);
  assert.equal(desiredEdge(view, HOST).stockAuthority, undefined);
});

test("the edge listens on both families where the host has both", () => {
  const addresses = (ipv6: boolean) =>
    desiredEdge(viewOf([]), { ...HOST, ipv6 }).bind.map(({ address }) => address);
  assert.deepEqual(addresses(true), ["0.0.0.0", "::"]);
  assert.deepEqual(addresses(false), ["0.0.0.0"]);
});

const HOST = {
  id: "s1.test",
  memoryMiB: 4096,
  ipv6: false,
  certificateFile: "/c.pem",
  puppetCaFile: "/ca.pem",
  issuers: [],
};

function member(id: string, unfit: string): Member {
  return Member.parse({
    id,
    role: "server",
    address: "10.0.0.1",
    phase: "ready",
    mayVote: true,
    backends: [Backend.parse({ name: "puppetserver", port: 8150, unfit })],
    version: "1.0.0",
    joinedAt: "2026-01-01T00:00:00Z",
  });
}

function viewOf(unfit: string[]): View {
  return {
    meta: Meta.parse({
      format: 1,
      clusterId: "7c0ac5f8-8f3f-4b7e-9f0e-2d6a5d3f0b11",
      generation: 1,
      createdAt: "2026-01-01T00:00:00Z",
    }),
    metaText: "",
    settings: Settings.parse({ sharedName: "puppet.test" }),
    members: unfit.map((because, index) => member(`s${index + 1}.test`, because)),
    etcdMembers: [],
    work: { drains: [] },
    revision: 1,
  };
}
