/**
 * Every way in which kubestick's result for the reference's configuration differs from kubeadm v1.36.2's on purpose.
 * The differential test allows these, fails on any other, and fails when one of these no longer occurs.
 */
export const INTENDED_DIFFERENCES: { where: string; reason: string }[] = [
  {
    where: "certificates: public key algorithm",
    reason: "ECDSA P-256 is our default: a small board makes such keys in milliseconds, RSA-2048 ones in seconds",
  },
  {
    where: "certificates: signature algorithm",
    reason: "follows from the CA's key",
  },
  {
    where: "certificates: validity in minutes",
    reason:
      "they begin a day ago, not five minutes, so that they hold when a clock that ran ahead by hours is put right",
  },
  {
    where: "ConfigMap kubeadm-config: encryptionAlgorithm",
    reason: "says ECDSA-P256, so that renewals and joins with real kubeadm make the same kind of key",
  },
];
