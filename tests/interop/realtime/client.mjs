// OpenAI's library for Node, over the Realtime API. Prints what it heard as JSON.
// node client.mjs FOLDER-OF-PACKAGES BASE-URL FILE-OF-PCM16-AT-24-KHZ
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, baseURL, file] = process.argv.slice(2);
const load = createRequire(`${folder}/package.json`);
const OpenAI = load("openai");
const { OpenAIRealtimeWS } = load("openai/realtime/ws");

const PIECE_BYTES = 9600;
const pcm = readFileSync(file);
const client = new OpenAI({ baseURL, apiKey: "none" });
const socket = new OpenAIRealtimeWS({ model: "gpt-4o-transcribe" }, client);
const told = { url: String(socket.url), kinds: [], deltas: "", transcript: null, errors: [] };

socket.on("event", (event) => told.kinds.push(event.type));
socket.on("error", (error) => told.errors.push(error.error?.code ?? String(error)));
socket.on("conversation.item.input_audio_transcription.delta", (event) => (told.deltas += event.delta));
socket.on("conversation.item.input_audio_transcription.completed", (event) => {
  told.transcript = event.transcript;
  socket.close();
});
socket.socket.on("close", () => console.log(JSON.stringify(told)));
socket.socket.on("open", () => {
  const transcription = { model: "gpt-4o-transcribe", language: "en" };
  const input = { transcription, turn_detection: { type: "server_vad", silence_duration_ms: 800 } };
  socket.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
  for (let at = 0; at < pcm.length; at += PIECE_BYTES) {
    const audio = pcm.subarray(at, at + PIECE_BYTES).toString("base64");
    socket.send({ type: "input_audio_buffer.append", audio });
  }
});
