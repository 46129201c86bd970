// Bun answers `import "undici"` with a shim of its own that ignores `connect: {ca, cert, key}`; this path is the real one.
declare module "undici/index.js" {
  export * from "undici";
}
