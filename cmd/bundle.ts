import { COMMON_ARGS } from "./args/common.ts";
import { group } from "./command.ts";

export default group({
  name: "bundle",
  description: "Make and use offline bundles of images and host binaries",
  args: COMMON_ARGS,
  examples: [
    ["Where there is a network: all that this kubestick pins", "kubestick bundle create bundle.tar"],
    [
      "One file for a bare board",
      "kubestick bundle attach bundle.tar --executable kubestick-linux-arm64 --file kubestick",
    ],
    ["What is in it", "kubestick bundle list bundle.tar"],
  ],
  topics: ["air-gap", "usb-stick"],
  subCommands: {
    create: () => import("./bundle/create.ts").then((file) => file.default),
    lock: () => import("./bundle/lock.ts").then((file) => file.default),
    inspect: () => import("./bundle/inspect.ts").then((file) => file.default),
    list: () => import("./bundle/list.ts").then((file) => file.default),
    verify: () => import("./bundle/verify.ts").then((file) => file.default),
    extract: () => import("./bundle/extract.ts").then((file) => file.default),
    attach: () => import("./bundle/attach.ts").then((file) => file.default),
    detach: () => import("./bundle/detach.ts").then((file) => file.default),
    load: () => import("./bundle/load.ts").then((file) => file.default),
    serve: () => import("./bundle/serve.ts").then((file) => file.default),
  },
});
