// Asks one path over mutual TLS and prints the answer; compiled by a test to prove that the executable keeps undici's TLS.
import { readFileSync } from "node:fs";
import { ApiClient } from "../../lib/api/client.ts";

const [server = "", dir = ""] = process.argv.slice(-2);
const pem = (name: string) => readFileSync(`${dir}/${name}`, "utf8");
const client = new ApiClient({ server, ca: pem("ca"), clientCertificate: pem("cert"), clientKey: pem("key") });
try {
  process.stdout.write(await client.text("/whoami"));
} catch (error) {
  process.stdout.write((error as Error).name);
}
await client.close();
