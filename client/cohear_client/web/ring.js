/**
 * 16-bit samples under absolute positions [start, end), in memory of a fixed size.
 *
 * Writing beyond the capacity forgets the oldest; whoever reads sees it by `start` and counts it.
 */
export class Ring {
  #samples;

  /** @param {number} capacitySamples */
  constructor(capacitySamples) {
    this.#samples = new Int16Array(capacitySamples);
    /** First position that is still here, in samples. */
    this.start = 0;
    /** Position of the next sample to be written. */
    this.end = 0;
  }

  /** @param {Int16Array} samples */
  push(samples) {
    const capacity = this.#samples.length;
    const kept = samples.length > capacity ? samples.subarray(samples.length - capacity) : samples;
    this.end += samples.length - kept.length;
    const at = this.end % capacity;
    const first = Math.min(kept.length, capacity - at);
    this.#samples.set(kept.subarray(0, first), at);
    this.#samples.set(kept.subarray(first), 0);
    this.end += kept.length;
    this.start = Math.max(this.start, this.end - capacity);
  }

  /**
   * Copies samples [from, from + target.length), which must be here, into `target`.
   * @param {number} from
   * @param {Int16Array} target
   */
  copy(from, target) {
    const capacity = this.#samples.length;
    const at = from % capacity;
    const first = Math.min(target.length, capacity - at);
    target.set(this.#samples.subarray(at, at + first));
    target.set(this.#samples.subarray(0, target.length - first), first);
  }

  /**
   * A copy of samples [from, to), which must be here.
   * @param {number} from
   * @param {number} to
   * @returns {Int16Array}
   */
  read(from, to) {
    const copy = new Int16Array(to - from);
    this.copy(from, copy);
    return copy;
  }

  /** @param {number} position in samples; what lies before it is not needed any more */
  forgetBefore(position) {
    this.start = Math.max(this.start, Math.min(position, this.end));
  }
}
