// The whole of node-forge, ciphers, PKCS and TLS, is ten times as much.
declare module "node-forge/lib/asn1.js" {
  import forge from "node-forge";
  export default forge.asn1;
}
declare module "node-forge/lib/util.js" {
  import forge from "node-forge";
  export default forge.util;
}
