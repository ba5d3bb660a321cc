// Cloudflare's own R2 emulator on a loopback port, its buckets in a folder.
//
// node serve.mjs PORT FOLDER ACCESS_KEY SECRET_KEY BUCKET...
//
// PORT 0 takes a free one. With R2_CERTIFICATE and R2_KEY, files in PEM, it speaks TLS. Prints the port once it answers, and ends when its standard input does.
import { Miniflare } from "miniflare";

const { R2_CERTIFICATE, R2_KEY } = process.env;
const tls = R2_CERTIFICATE
  ? { https: true, httpsCertPath: R2_CERTIFICATE, httpsKeyPath: R2_KEY }
  : {};
const [port, folder, accessKeyId, secretAccessKey, ...buckets] = process.argv.slice(2);
const s3Credentials = { accessKeyId, secretAccessKey };
const emulator = new Miniflare({
  host: "127.0.0.1",
  port: Number(port),
  ...tls,
  cf: false, // otherwise it asks Cloudflare where this machine is
  modules: true,
  compatibilityDate: "2026-01-01",
  script: "export default { fetch() { return new Response(null, { status: 404 }); } }",
  r2Persist: folder,
  r2Buckets: Object.fromEntries(buckets.map((id, n) => [`B${n}`, { id, s3Credentials }])),
});
console.log((await emulator.ready).port);
process.stdin.resume();
process.stdin.on("end", async () => {
  await emulator.dispose();
  process.exit(0);
});
