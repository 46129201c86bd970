/** Components that the end-to-end layer has run on, without a failure, from the sources of this release. */
export interface TestedComponents {
  kubernetes: string;
  etcd: string;
  coredns: string;
  containerd: string;
  /** What ran, and what the components were where they were not simply that version's. */
  what: string;
}

/** Every set of components that a release may say it was tested with; kept true by hand, `npm test` says what it ran on. */
export const TESTED: TestedComponents[] = [
  { kubernetes: "v1.36.2", etcd: "3.6.13", coredns: "1.13.1", containerd: "2.1.9", what: "every end-to-end test" },
  {
    kubernetes: "v1.37.1",
    etcd: "3.6.13",
    coredns: "1.13.1",
    containerd: "2.1.9",
    what: "init, join and several control planes by v1.37's rules, on v1.36.2's sources built to tell that version",
  },
  {
    kubernetes: "v1.35.6",
    etcd: "3.6.13",
    coredns: "1.13.1",
    containerd: "2.1.9",
    what: "init and join, on v1.36.2's sources built to tell that version",
  },
];
