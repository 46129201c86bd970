import { expect, test } from "bun:test";
import { Notices, nodeEvent } from "../../lib/agent/notices.ts";
import type { RequestOptions } from "../../lib/api/client.ts";
import { ApiError } from "../../lib/api/errors.ts";
import type { KubeObject } from "../../lib/api/resources.ts";

const evil = { name: "evil", uid: "u-1" };
const MINUTE = 60_000;

/** Notices that remember what they wrote, to a cluster that answers with these errors. */
function notices(...errors: Error[]) {
  const events: KubeObject[] = [];
  const log: string[] = [];
  const client = {
    call: async <T>(method: string, path: string, { body }: RequestOptions = {}) => {
      expect([method, path]).toEqual(["POST", "/api/v1/namespaces/default/events"]);
      events.push(body as KubeObject);
      const error = errors.shift();
      if (error) throw error;
      return body as T;
    },
  };
  return { events, log, notices: new Notices(client, "n1", (text) => void log.push(text)) };
}

test("an Event names the Node, says why, and is the same whoever sees it", () => {
  const now = new Date("2026-11-24T10:00:00.123Z");
  const event = nodeEvent(evil, "NetworkClaimRefused", "left out", "n1", now);
  expect(event).toMatchObject({
    metadata: { namespace: "default" },
    involvedObject: { apiVersion: "v1", kind: "Node", name: "evil", uid: "u-1" },
    type: "Warning",
    reason: "NetworkClaimRefused",
    message: "left out",
    firstTimestamp: "2026-11-24T10:00:00Z",
  });
  expect(event.metadata.name).toMatch(/^evil\.[0-9a-f]{16}$/);
  const name = (...args: Parameters<typeof nodeEvent>) => nodeEvent(...args).metadata.name;
  expect(name(evil, "NetworkClaimRefused", "left out", "n2", new Date(0))).toBe(event.metadata.name);
  expect(name(evil, "NetworkClaimRefused", "else", "n1", now)).not.toBe(event.metadata.name);
  expect(name({ ...evil, uid: "u-2" }, "NetworkClaimRefused", "left out", "n1", now)).not.toBe(event.metadata.name);
});

test("an Event is valid however long the name and the message are", () => {
  const event = nodeEvent({ name: "n".repeat(253), uid: "u" }, "R", "m".repeat(5000), "n1", new Date());
  expect(event.message).toBe(`${"m".repeat(1021)}...`);
  expect(event.metadata.name.length).toBeLessThanOrEqual(253);
});

test("is said once, and as an Event again when that has expired", () => {
  const { events, log, notices: n } = notices();
  for (const at of [0, 1, 30 * MINUTE, 60 * MINUTE]) n.say(evil, "R", "m", at);
  expect([events.length, log]).toEqual([1, ["node evil: m"]]);
  n.say(evil, "R", "m", 61 * MINUTE);
  expect([events.length, log.length]).toEqual([2, 1]);
});

test("a Node that changes every second, or a thousand Nodes, fill neither the log nor the cluster", () => {
  const { events, log, notices: n } = notices();
  for (let second = 0; second < 120; second++) n.say(evil, "R", `m${second}`, second * 1000);
  expect(log).toEqual(["node evil: m0", "node evil: m60"]);
  for (let i = 0; i < 1000; i++) n.say({ name: `e${i}`, uid: `u${i}` }, "R", "m", 10 * MINUTE);
  expect(events.length).toBe(2 + 20);
});

test("what the cluster refuses is logged once, and what another agent wrote at the same time is no failure", async () => {
  const { log, notices: n } = notices(new ApiError("create Event", 409, ""), new Error("no"), new Error("no"));
  for (let i = 0; i < 3; i++) n.say({ name: `e${i}`, uid: "u" }, "R", "m", 0);
  await Bun.sleep(0);
  expect(log).toEqual(["node e0: m", "node e1: m", "node e2: m", "no"]);
});
