// Deepgram's SDK for Node, as its users call it: client.mjs ADDRESS KEY AUDIO FILE. Prints one JSON object.
import { createReadStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const { DeepgramClient } = createRequire(`${process.cwd()}/`)("@deepgram/sdk");
const [address, apiKey, path, filePath] = process.argv.slice(2);
const FRAME_BYTES = 1280;
const PACE_MS = 8;

const places = {
  base: `http://${address}`,
  production: `ws://${address}`,
  agent: `ws://${address}`,
  agentRest: `http://${address}`,
};
const client = new DeepgramClient({ apiKey, environment: places });
const socket = await client.listen.v1.connect({
  model: "nova-3",
  encoding: "linear16",
  sample_rate: 16000,
  interim_results: "true",
  punctuate: "true",
});
const messages = [];
let ended;
const closed = new Promise((resolve) => {
  ended = resolve;
});
socket.on("message", (message) => messages.push(message));
socket.on("close", (event) => ended(event.code));
socket.connect();
await socket.waitForOpen();
const audio = readFileSync(path);
for (let at = 0; at < audio.length; at += FRAME_BYTES) {
  socket.sendMedia(audio.subarray(at, at + FRAME_BYTES));
  await sleep(PACE_MS);
}
socket.sendCloseStream({ type: "CloseStream" });
const file = await client.listen.v1.media.transcribeFile(createReadStream(filePath), { model: "nova-3", punctuate: true });
const code = await Promise.race([closed, sleep(30_000)]);
console.log(JSON.stringify({ messages, code, file }));
process.exit(0);
