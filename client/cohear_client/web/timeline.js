/**
 * Where a session's own count lies in the stream's: sessions may begin late, and samples may never reach them.
 *
 * A stream counts the client's samples from its first one on, whatever sessions it took. A session counts what it
 * received. They differ by where the session began and by the gaps: audio that was dropped on the way.
 */
export class Timeline {
  #rateHz;
  #begun;
  #seq;
  #segments;
  #gaps = [];

  /**
   * @param {number} rateHz
   * @param {{begun: number, seq: number, segments: number}} [from] the session's zeros in the stream's count:
   *   samples, event numbers, segments
   */
  constructor(rateHz, from = { begun: 0, seq: 0, segments: 0 }) {
    this.#rateHz = rateHz;
    this.#begun = from.begun;
    this.#seq = from.seq;
    this.#segments = from.segments;
  }

  /** A stream's event number in this session's count, for `last_seq`. */
  sessionSeq(seq) {
    return Math.max(0, seq - this.#seq);
  }

  /** Samples [from, to) of the stream are not sent. */
  skip(from, to) {
    this.#gaps.push({ at: this.#toSession(from), missing: to - from });
  }

  /**
   * The session has heard so much and goes on from there: gaps further on were not reached.
   * @param {number} sample in the session's count
   * @returns {number} the same place in the stream's count
   */
  rewind(sample) {
    this.#gaps = this.#gaps.filter((gap) => gap.at <= sample);
    return this.toStream(sample);
  }

  /** A place in the stream's count for one in the session's; in samples. */
  toStream(sample) {
    let place = sample + this.#begun;
    for (const gap of this.#gaps) if (gap.at <= sample) place += gap.missing;
    return place;
  }

  /**
   * The event in the stream's own count.
   * @param {any} event a message of the server
   */
  shifted(event) {
    const moved = { ...event };
    if ('seq' in moved) moved.seq += this.#seq;
    if ('segment_id' in moved) moved.segment_id += this.#segments;
    for (const name of ['at_s', 'audio_end_s', 'start_s', 'end_s']) {
      if (name in moved) moved[name] = this.#seconds(moved[name]);
    }
    if (moved.words) {
      moved.words = moved.words.map((word) => ({
        ...word,
        start_s: this.#seconds(word.start_s),
        end_s: this.#seconds(word.end_s),
      }));
    }
    return moved;
  }

  #seconds(seconds) {
    return this.toStream(seconds * this.#rateHz) / this.#rateHz;
  }

  #toSession(place) {
    return this.#gaps.reduce((sample, gap) => sample - gap.missing, place - this.#begun);
  }
}
