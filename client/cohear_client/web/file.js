/** An audio file in the place of the microphone: decoded by the browser, and sent as fast as is wanted. */
import { CohearError } from './errors.js';
import { toPcm16 } from './resample.js';

/** Audio sent at a time: little at the pace of speech, much where only speed counts. */
const BLOCK_S = 0.1;
const FAST_BLOCK_S = 1;

/**
 * @param {Blob} file anything that the browser can play
 * @param {number} rateHz
 * @returns {Promise<Int16Array>} mono
 * @throws {CohearError} `bad_file`
 */
export async function decodeFile(file, rateHz) {
  const context = new OfflineAudioContext(1, 1, rateHz);
  let audio;
  try {
    audio = await context.decodeAudioData(await file.arrayBuffer()); // it resamples, too
  } catch {
    throw new CohearError('bad_file', `${file.name ?? 'The file'} is no audio that this browser can decode`);
  }
  return mono(audio);
}

/**
 * Sends samples through a stream, then returns; `stop` is the caller's.
 * @param {import('./cohear.js').Stream} stream
 * @param {Int16Array} samples
 * @param {object} options
 * @param {number} options.rateHz
 * @param {number} options.speed 1 is real time; 0 as fast as the server takes it
 * @param {AbortSignal} options.signal ends it early
 * @param {(sent: {samples: Int16Array, seconds: number}) => void} options.onSent
 */
export async function feed(stream, samples, { rateHz, speed, signal, onSent }) {
  const block = (speed > 0 ? BLOCK_S : FAST_BLOCK_S) * rateHz;
  const begunMs = performance.now();
  for (let at = 0; at < samples.length && !signal.aborted; at += block) {
    const piece = samples.subarray(at, at + block);
    stream.send(piece);
    onSent({ samples: piece, seconds: (at + piece.length) / rateHz });
    await stream.room();
    const dueMs = speed > 0 ? ((at + piece.length) * 1000) / rateHz / speed : 0;
    // a page in the background sleeps longer than asked, and catches up here
    await pause(Math.max(0, begunMs + dueMs - performance.now()), signal);
  }
}

function mono(audio) {
  const mixed = new Float32Array(audio.length);
  for (let channel = 0; channel < audio.numberOfChannels; channel++) {
    const samples = audio.getChannelData(channel);
    for (let i = 0; i < mixed.length; i++) mixed[i] += samples[i] / audio.numberOfChannels;
  }
  const pcm = new Int16Array(mixed.length);
  toPcm16(mixed, pcm);
  return pcm;
}

function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
