/**
 * Changes the sample rate of a stream: a windowed-sinc filter, one phase for each place between two samples.
 *
 * Used where a browser cannot capture at the rate that we want. Nothing is allocated once it runs, as it runs on the
 * audio thread.
 */

/** Zero crossings of the sinc on each side: stop band below -70 dB with the window used. */
const ZERO_CROSSINGS = 16;

/** The pass band ends here, as a part of the lower rate's half: the rest is for the filter's slope. */
const CUTOFF = 0.92;

/** Longest input of one call, in samples; longer ones are taken piece by piece by the caller. */
export const MAX_BLOCK_SAMPLES = 4096;

export class Resampler {
  #up;
  #down;
  #taps;
  #bank;
  #buffer;
  #held;
  #output;
  #phase = 0;
  #at = 0;

  /**
   * @param {number} fromHz whole number
   * @param {number} toHz whole number
   */
  constructor(fromHz, toHz) {
    const common = divisor(fromHz, toHz);
    this.#up = toHz / common;
    this.#down = fromHz / common;
    const scale = Math.min(1, toHz / fromHz) * CUTOFF;
    const half = Math.ceil(ZERO_CROSSINGS / scale);
    this.#taps = 2 * half;
    this.#bank = filters(this.#up, half, scale);
    this.#buffer = new Float32Array(this.#taps + MAX_BLOCK_SAMPLES);
    // silence before the first sample, so that output sample n lies at input sample n * from / to
    this.#held = half - 1;
    this.#output = new Float32Array(Math.ceil((MAX_BLOCK_SAMPLES * toHz) / fromHz) + 2);
  }

  /**
   * @param {Float32Array} input at most MAX_BLOCK_SAMPLES
   * @returns {Float32Array} a view that the next call overwrites
   */
  process(input) {
    this.#buffer.set(input, this.#held);
    this.#held += input.length;
    let made = 0;
    while (this.#at + this.#taps <= this.#held) {
      this.#output[made++] = this.#sum();
      this.#phase += this.#down;
      this.#at += Math.floor(this.#phase / this.#up);
      this.#phase %= this.#up;
    }
    const gone = Math.min(this.#at, this.#held);
    this.#buffer.copyWithin(0, gone, this.#held);
    this.#held -= gone;
    this.#at -= gone;
    return this.#output.subarray(0, made);
  }

  #sum() {
    const filter = this.#phase * this.#taps;
    let sum = 0;
    for (let tap = 0; tap < this.#taps; tap++) sum += this.#buffer[this.#at + tap] * this.#bank[filter + tap];
    return sum;
  }
}

/**
 * @param {Float32Array} samples -1..1; what lies beyond is limited
 * @param {Int16Array} target as long as `samples`
 */
export function toPcm16(samples, target) {
  for (let i = 0; i < samples.length; i++) {
    target[i] = Math.round(Math.max(-1, Math.min(1, samples[i])) * 32767);
  }
}

function filters(phases, half, scale) {
  const taps = 2 * half;
  const bank = new Float32Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - half + 1 - phase / phases;
      const value = sinc(scale * distance) * blackman(distance / half);
      bank[phase * taps + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < taps; tap++) bank[phase * taps + tap] /= sum;
  }
  return bank;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** @param {number} x -1..1 from edge to edge */
function blackman(x) {
  return Math.abs(x) >= 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * x) + 0.08 * Math.cos(2 * Math.PI * x);
}

function divisor(a, b) {
  return b === 0 ? a : divisor(b, a % b);
}
