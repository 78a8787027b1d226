/** One recording: a source of sound joined to a stream, from start to the last final. It knows no page. */
import { Microphone } from './capture.js';
import { Stream } from './cohear.js';
import { CohearError } from './errors.js';
import { decodeFile, feed } from './file.js';

const RATE_HZ = 16_000;

/** Places that are told apart; further ones make the last one longer. */
const MAX_LOSSES = 100;

const EVENTS = ['ready', 'speech_started', 'partial', 'final', 'stats', 'warning', 'error', 'restarted'];

/**
 * @typedef {object} Hooks
 * @property {(event: any, type: string) => void} onEvent each event of the stream
 * @property {(state: string) => void} onState
 * @property {(sound: {level: number, seconds: number, sentAfterMs: number | null}) => void} onSound each block on its
 *   way: its level 0..1, the recording's length so far, and how long after capture it went to the socket
 */

export class Recording {
  #stream;
  #hooks;
  #microphone = null;
  #leaving = new AbortController();
  #capturedSamples = 0;

  /**
   * @param {import('./cohear.js').Options} options
   * @param {Hooks} hooks
   */
  constructor(options, hooks) {
    this.#hooks = hooks;
    this.#stream = new Stream({ ...options, start: { ...options.start, sample_rate: RATE_HZ } });
    for (const type of EVENTS) this.#stream.addEventListener(type, ({ detail }) => hooks.onEvent(detail, type));
    this.#stream.addEventListener('state', ({ detail }) => hooks.onState(detail.state));
    this.#stream.addEventListener('warning', ({ detail }) => {
      if (detail.code === 'audio_lost') this.#tellLost(detail.start_s, detail.end_s);
    });
    /** Sound that has no text and will have none, as places in this recording, in seconds. */
    this.losses = [];
  }

  /**
   * Records until `stop`, or until the device or the stream fails.
   * @param {string} deviceId
   * @throws {CohearError}
   */
  async fromMicrophone(deviceId) {
    const gone = Promise.withResolvers();
    try {
      this.#microphone = await Microphone.open({
        deviceId,
        rateHz: RATE_HZ,
        onFrame: (frame) => this.#hear(frame),
        onEnded: () => gone.resolve(),
      });
      if (this.#leaving.signal.aborted) return;
      // what is said from here on waits in the stream until the server has answered
      await this.#stream.open();
      await Promise.race([this.#stream.ended, gone.promise.then(() => this.#unplugged())]);
    } finally {
      this.#microphone?.close();
    }
  }

  /**
   * Sends a file, and waits for its text.
   * @param {File} file
   * @param {number} speed 1 is real time; 0 as fast as the server takes it
   * @throws {CohearError}
   */
  async fromFile(file, speed) {
    const samples = await decodeFile(file, RATE_HZ);
    if (this.#leaving.signal.aborted) return;
    await this.#stream.open();
    const signal = this.#leaving.signal;
    const onSent = (sent) => this.#hooks.onSound({ ...sent, level: loudness(sent.samples), sentAfterMs: null });
    await feed(this.#stream, samples, { rateHz: RATE_HZ, speed, signal, onSent });
    await this.#stream.stop();
  }

  /** No more sound; what was said still becomes text. */
  stop() {
    this.#leaving.abort();
    this.#microphone?.close();
    if (this.#stream.state === 'connecting') this.#stream.abort();
    else this.#stream.stop().catch(() => {}); // whoever runs the recording hears of it
  }

  #hear({ samples, capturedMs, level, lostSamples }) {
    if (this.#stream.failing || this.#leaving.signal.aborted) return;
    const captured_s = this.#capturedSamples / RATE_HZ;
    if (lostSamples) this.#tellLost(captured_s, captured_s + lostSamples / RATE_HZ); // the page was busy
    this.#capturedSamples += samples.length;
    this.#stream.send(samples);
    const sent = this.#stream.state === 'live' && this.#stream.unsentSamples === 0;
    const seconds = this.#capturedSamples / RATE_HZ;
    this.#hooks.onSound({ level, seconds, sentAfterMs: sent ? Date.now() - capturedMs : null });
  }

  #tellLost(start_s, end_s) {
    const last = this.losses.at(-1);
    // one place where they touch, and beyond the bound
    if (last && (start_s <= last.end_s || this.losses.length === MAX_LOSSES)) last.end_s = Math.max(last.end_s, end_s);
    else this.losses.push({ start_s, end_s });
  }

  async #unplugged() {
    await this.#stream.stop();
    throw new CohearError('device_gone', 'The microphone was unplugged');
  }
}

/** Root mean square, 0..1. */
function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.sqrt(sum / Math.max(1, samples.length)) / 32768;
}
