// A file to text by OpenAI's library: `npm install openai`, then `node openai_files.mjs talk.mp3`.
// OPENAI_BASE_URL is the server, such as http://127.0.0.1:8765/v1; OPENAI_API_KEY is a key of it, or anything where it
// asks for none.
import fs from 'node:fs';
import OpenAI from 'openai';

const client = new OpenAI();
const events = await client.audio.transcriptions.create({
  file: fs.createReadStream(process.argv[2]),
  model: 'whisper-1',
  stream: true,
});
for await (const event of events) {
  if (event.type === 'transcript.text.delta') process.stdout.write(event.delta);
}
console.log();
