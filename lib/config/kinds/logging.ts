import * as s from "../schema.ts";

const options = { infoBufferSize: s.zero(s.any, "0"), splitStream: s.bool };

/** LoggingConfiguration of k8s.io/component-base, shared by the kubelet and kube-proxy. */
export const logging = s.zero(
  s.object({
    format: s.string,
    flushFrequency: s.zero(s.any, 0),
    verbosity: s.zero(s.int, 0),
    vmodule: s.list(s.object({ filePattern: s.string, verbosity: s.int })),
    options: s.zero(s.object({ text: s.zero(s.object(options), {}), json: s.zero(s.object(options), {}) }), {}),
  }),
  {},
);
