/**
 * The audio thread's part of capture: any rate and channels in, frames of 16-bit mono out.
 *
 * Frames travel in buffers that the page sends back, so nothing is allocated per frame. While the page is busy and has
 * not sent them back, samples wait in a ring; when that is full too the oldest are lost, and counted.
 */
import { Resampler, toPcm16 } from './resample.js';
import { Ring } from './ring.js';

/** Frames on their way to the page and back. */
const BUFFERS = 50;

/** How long a busy page may take before audio is lost, in seconds. */
const RING_S = 5;

/** Samples that the browser hands over at a time; a constant of the standard, but it may grow. */
const MAX_QUANTUM = 2048;

class Capture extends AudioWorkletProcessor {
  #frameSamples;
  #rateHz;
  #resampler;
  #ring;
  #next = 0;
  #lost = 0;
  #beganMs = 0;
  #buffers = [];
  #mono = new Float32Array(MAX_QUANTUM);
  #pcm = new Int16Array(MAX_QUANTUM + 2);
  #stopped = false;

  constructor({ processorOptions: { rateHz, frameSamples } }) {
    super();
    this.#frameSamples = frameSamples;
    this.#rateHz = rateHz;
    this.#ring = new Ring(RING_S * rateHz);
    this.#resampler = sampleRate === rateHz ? null : new Resampler(sampleRate, rateHz);
    for (let i = 0; i < BUFFERS; i++) this.#buffers.push(new ArrayBuffer(2 * frameSamples));
    this.port.onmessage = ({ data }) => {
      if (data === null) this.#stopped = true;
      else this.#buffers.push(...data);
    };
  }

  process([channels]) {
    if (channels.length > 0) this.#take(channels);
    return !this.#stopped;
  }

  #take(channels) {
    const mono = mixed(channels, this.#mono);
    const samples = this.#resampler ? this.#resampler.process(mono) : mono;
    const pcm = this.#pcm.subarray(0, samples.length);
    toPcm16(samples, pcm);
    if (this.#ring.end === this.#next) this.#beganMs = Date.now();
    this.#ring.push(pcm);
    this.#post();
  }

  #post() {
    const lost = Math.max(0, this.#ring.start - this.#next);
    this.#next += lost;
    this.#lost += lost;
    while (this.#ring.end - this.#next >= this.#frameSamples && this.#buffers.length > 0) {
      const buffer = this.#buffers.pop();
      const frame = new Int16Array(buffer);
      this.#ring.copy(this.#next, frame);
      this.#next += frame.length;
      const message = { buffer, capturedMs: this.#beganMs, level: loudness(frame), lostSamples: this.#lost };
      this.port.postMessage(message, [buffer]);
      this.#beganMs = Date.now() - ((this.#ring.end - this.#next) * 1000) / this.#rateHz;
      this.#lost = 0;
    }
  }
}

function mixed(channels, target) {
  if (channels.length === 1) return channels[0];
  const length = channels[0].length;
  const mono = target.subarray(0, length);
  for (let i = 0; i < length; i++) {
    let sum = 0;
    for (const channel of channels) sum += channel[i];
    mono[i] = sum / channels.length;
  }
  return mono;
}

/** Root mean square of a frame, 0..1. */
function loudness(frame) {
  let sum = 0;
  for (let i = 0; i < frame.length; i++) sum += frame[i] * frame[i];
  return Math.sqrt(sum / frame.length) / 32768;
}

registerProcessor('cohear-capture', Capture);
