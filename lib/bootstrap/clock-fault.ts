import type { X509Certificate } from "node:crypto";
import { MINUTE } from "../constants/durations.ts";
import { KubestickError } from "../errors.ts";
import type { ShownTime } from "./server-time.ts";

const ANEW =
  "on the control plane: move /etc/kubernetes/pki/apiserver.crt and apiserver.key away, then kubestick init phase certs apiserver (or kubeadm certs renew apiserver), and restart kube-apiserver: crictl stop CONTAINER";

/** The certificates that make a connection, with what helps when one is valid too late, or no longer. */
const PARTS: { name: string; of: (shown: ShownTime) => X509Certificate; early: string; late: string }[] = [
  {
    name: "CA",
    of: ({ authority }) => authority,
    early:
      "wait until then; or, where nothing is in the cluster yet, make it anew with the right time: on the control plane, kubestick reset, date -u -s TIME, kubestick init",
    late: "kubeadm certs renew renews no CA: it is replaced by hand on every node (manual rotation of CA certificates in the Kubernetes documentation), or the cluster is made anew",
  },
  { name: "API server's certificate", of: ({ leaf }) => leaf, early: ANEW, late: ANEW },
];

/** Whether two clocks tell the same time, as far as certificates go. */
const agree = (a: Date, b: Date) => Math.abs(a.getTime() - b.getTime()) < MINUTE;

/** Whether certificates would do if this host had the server's time: its clock is another, and at that time they are valid. */
export function mends(shown: ShownTime): boolean {
  const { time } = shown;
  const valid = PARTS.map(({ of }) => of(shown)).every((c) => c.validFromDate <= time && time <= c.validToDate);
  return valid && !agree(time, new Date());
}

/**
 * Why certificates are not valid for this host: its own clock is to blame, since a board without a battery clock lives in
 * the past and takes every certificate for one of the future, or the certificates are, whichever clock one goes by.
 */
export function explainClock(cause: unknown, shown: ShownTime): KubestickError {
  const { time } = shown;
  const now = new Date();
  const [here, there] = [now.toISOString(), time.toISOString()];
  if (mends(shown))
    return new KubestickError(
      `this host's clock says ${here}, and the control plane's ${there}: certificates are not valid at this host's time`,
      {
        code: "clock",
        hint: "run the same command again with --sync-time, which sets this host's clock to the control plane's",
        cause,
      },
    );
  const clocks = agree(time, now)
    ? `both clocks say that it is ${here}`
    : `the control plane's clock says ${there}, and this host's ${here}`;
  for (const { name, of, early, late } of PARTS) {
    const { validFromDate: from, validToDate: to } = of(shown);
    if (time < from || now < from)
      return new KubestickError(
        `the cluster's ${name} is not valid yet: it is from ${from.toISOString()} on, and ${clocks}. It was made while a clock ran ahead`,
        { code: "clock", hint: early, cause },
      );
    if (time > to || now > to)
      return new KubestickError(`the cluster's ${name} has expired on ${to.toISOString()}, and ${clocks}`, {
        code: "clock",
        hint: late,
        cause,
      });
  }
  return new KubestickError(`a certificate that the cluster shows is not valid now, and ${clocks}`, {
    code: "clock",
    hint: "look at all that it sends: openssl s_client -showcerts -connect HOST:6443 </dev/null",
    cause,
  });
}
