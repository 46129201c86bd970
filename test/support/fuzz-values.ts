/** A small generator of numbers that a seed repeats (mulberry32). */
export function random(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    below: (n: number) => Math.floor(next() * n),
    chance: (p: number) => next() < p,
    of: <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)]!,
  };
}

/** What a terminal obeys, and a line that passes for kubestick's own. */
export const HOSTILE = "\x1b]0;x\x07\x1b[31mred\x9b2J\x7f\u202egnp\u2028\u200b\ufeff\u{e0041}\r\nwhat to do: this";

/** A bootstrap token of the right shape. */
export const TOKEN = "abcdef.0123456789abcdef";

const PLAIN = `- -- = a=b=c , a,,b 0 -1 1 2 1e9 0x10 NaN Infinity 65535 65536 true TRUE yes text json yaml all none flat
__proto__ constructor v1.36.2 1.36.2 v1.36 v1.36.2-rc.1 v999999.0.0 stable-1 amd64 arm64 amd64,mips 1h -1h 1y 9999999999h .s
10.0.0.0/8 10.0.0.0/33 10.0.0.0/8,fd00::/48 fd00::/112,::/0 :: ::1 0.0.0.0 10.0.0.5 256.1.1.1 fe80::1%lo [::1]:6443 [::1 a:b:c
host:0 10.0.0.5:99999 a Raspberry pi_4 a..b . .. cluster.lan:6443 registry.k8s.io/k8s UPPER/case http://[ https://127.0.0.1:1/x
ftp://x file:///etc/passwd *=http://127.0.0.1:1 docker.io=x *= unix:// unix:///run/none.sock /run/none.sock tcp://127.0.0.1:1
npipe:////./pipe containerd=v1 kubelet=v1.36.2 abcdef ABCDEF.0123456789ABCDEF sha256:x signing signing,x certs certs/ca addon,etcd
NodeRestriction=true ControlPlaneKubeletLocalMode=maybe Mem,Swap * %s%n $(id) ' " \\`;

/** Values of flags and positionals: near to what is right, far from it, and hostile. */
export const VALUES = [
  ...PLAIN.split(/\s+/),
  ...["", " ", "a.".repeat(200), "9".repeat(30), "f".repeat(64), `sha256:${"0".repeat(64)}`, TOKEN, "`id`"],
  ...[HOSTILE, "\0", "a\0b", "\ud800", "ü".repeat(300), "x".repeat(100_000)],
];
