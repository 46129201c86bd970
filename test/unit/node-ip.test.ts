import { describe, expect, test } from "bun:test";
import type { HostAddress } from "../../lib/host/facts.ts";
import { chooseNodeIp } from "../../lib/kubelet/node-ip.ts";
import { familiesOf } from "../../lib/net/ip.ts";

const at = (address: string, name = "eth0"): HostAddress => ({
  interface: name,
  address,
  family: address.includes(":") ? 6 : 4,
});
const host = (defaultInterface: string | undefined, ...addresses: HostAddress[]) => ({ defaultInterface, addresses });
const flag = (...args: Parameters<typeof chooseNodeIp>) => chooseNodeIp(...args).flag?.value;

describe("the addresses that a kubelet is told", () => {
  const both = [at("10.0.0.2"), at("fd00::2")];

  test("nothing where it finds the same by itself", () => {
    expect(chooseNodeIp(host("eth0", ...both), [4], "10.0.0.2")).toEqual({});
    expect(chooseNodeIp(host("eth0", at("fd00::2")), [6], undefined)).toEqual({});
    expect(chooseNodeIp(host("eth0", ...both), [], undefined)).toEqual({});
    expect(chooseNodeIp(host(undefined), [4, 6], undefined)).toEqual({});
  });

  test("its own where there is no default route to find it by", () => {
    expect(flag(host(undefined, at("10.0.0.2")), [4], "10.0.0.2")).toBe("10.0.0.2");
    expect(flag(host(undefined, at("10.0.0.2"), at("10.1.0.2", "eth1")), [4], "10.1.0.2")).toBe("10.1.0.2");
    expect(flag(host(undefined, at("10.0.0.2"), at("10.1.0.2", "eth1")), [4], undefined)).toBeUndefined();
  });

  test("the one on the cluster's network where the default route is for something else", () => {
    // Virtual machines that all have the same address towards the outside, and a VPN between boards.
    const vm = host("eth0", at("10.0.2.15"), at("192.168.56.11", "eth1"));
    expect(chooseNodeIp(vm, [4], "192.168.56.11")).toEqual({
      flag: {
        value: "192.168.56.11",
        why: "it looks at the default route's interface, eth0, and the cluster is on eth1",
      },
    });
    expect(chooseNodeIp(vm, [4], "10.0.2.15")).toEqual({});
    expect(chooseNodeIp(vm, [4], undefined)).toEqual({});
    expect(flag(vm, [], "192.168.56.11")).toBe("192.168.56.11");
    // The control plane is spoken to by IPv6, and pods have none.
    expect(chooseNodeIp(host("eth0", at("10.0.2.15"), at("fd00::2", "eth1")), [4], "fd00::2")).toEqual({});
  });

  test("one of each family where pods have both, in the pods' order", () => {
    expect(flag(host("eth0", ...both), [4, 6], "10.0.0.2")).toBe("10.0.0.2,fd00::2");
    expect(flag(host("eth0", ...both), [6, 4], "10.0.0.2")).toBe("fd00::2,10.0.0.2");
    expect(flag(host(undefined, ...both), [4, 6], "fd00:0::2")).toBe("10.0.0.2,fd00::2");
    // Of the same interface first; another one's only where it is the only one.
    const two = host("eth0", at("fd01::2", "eth1"), ...both);
    expect(flag(two, [4, 6], undefined)).toBe("10.0.0.2,fd00::2");
    expect(flag(host("eth0", at("10.0.0.2"), at("fd01::2", "eth1")), [4, 6], undefined)).toBe("10.0.0.2,fd01::2");
  });

  test("IPv6 where pods have nothing else, since it prefers IPv4", () => {
    expect(flag(host("eth0", ...both), [6], "fd00::2")).toBe("fd00::2");
    expect(flag(host("eth0", ...both), [6], undefined)).toBe("fd00::2");
  });

  test("a family that the host has no address of is told", () => {
    expect(chooseNodeIp(host("eth0", at("10.0.0.2")), [4, 6], "10.0.0.2")).toEqual({ lacks: 6 });
    expect(chooseNodeIp(host("eth0", at("fd00::2")), [4, 6], undefined)).toEqual({ lacks: 4 });
    expect(chooseNodeIp(host(undefined, at("10.0.0.2")), [4, 6], undefined)).toMatchObject({
      flag: { value: "10.0.0.2" },
      lacks: 6,
    });
    const several = host("eth0", at("10.0.0.2"), at("fd01::2", "eth1"), at("fd02::2", "eth2"));
    expect(chooseNodeIp(several, [4, 6], undefined)).toEqual({ lacks: 6 });
  });

  test("never one that is not this host's", () => {
    expect(flag(host("eth0", ...both), [4, 6], "192.0.2.1")).toBe("10.0.0.2,fd00::2");
    expect(flag(host(undefined, at("10.0.0.2")), [4], "192.0.2.1")).toBe("10.0.0.2");
  });

  test("families are read out of the cluster's networks, whatever stands there", () => {
    expect(familiesOf("10.244.0.0/16,fd00::/56")).toEqual([4, 6]);
    expect(familiesOf("fd00::/56, 10.244.0.0/16")).toEqual([6, 4]);
    expect(familiesOf("10.244.0.0/16")).toEqual([4]);
    for (const text of ["", "x", "10.0.0.0", "[object Object]"]) expect(familiesOf(text)).toEqual([]);
  });
});
