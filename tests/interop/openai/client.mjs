// What tests/interop/openai/test_node.py asks OpenAI's library for Node to do; prints one JSON object.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const [, , folder, baseURL, apiKey, clip] = process.argv;
const OpenAI = createRequire(path.join(folder, 'x.js'))('openai');
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const create = (more) =>
  client.audio.transcriptions.create({ file: fs.createReadStream(clip), model: 'whisper-1', ...more });
const named = async (promise) => {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    return `${error.constructor.name} ${error.status} ${error.code} ${error.param}`;
  }
};

const told = { json: (await create()).text };
told.text = await create({ response_format: 'text' });
told.srt = await create({ response_format: 'srt' });
told.verbose = await create({ response_format: 'verbose_json', timestamp_granularities: ['word', 'segment'] });
told.deltas = [];
for await (const event of await create({ stream: true, include: ['logprobs'] })) {
  if (event.type === 'transcript.text.delta') told.deltas.push(event.delta);
  else told.done = event;
}
told.models = (await client.models.list()).data.map((model) => model.id);
told.errors = [
  await named(create({ language: 'de' })),
  await named(client.models.retrieve('nothing')),
  await named(new OpenAI({ baseURL, apiKey: 'wrong', maxRetries: 0 }).models.list()),
];
console.log(JSON.stringify(told));
