// Bun answers `import "undici"` with a shim of its own that ignores `connect: {ca, cert, key}`; these paths are the real one.
declare module "undici/index.js" {
  export * from "undici";
}
declare module "undici/lib/api/index.js" {
  const api: object;
  export default api;
}
declare module "undici/lib/core/connect.js" {
  import { buildConnector } from "undici";
  export default buildConnector;
}
declare module "undici/lib/dispatcher/agent.js" {
  import { Agent } from "undici";
  export default Agent;
}
declare module "undici/lib/dispatcher/dispatcher.js" {
  import { Dispatcher } from "undici";
  export default Dispatcher;
}
