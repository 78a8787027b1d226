/**
 * The sessions of one stream as one conversation: events in the stream's own count, each once, and what is settled.
 *
 * A stream counts the client's samples from its first one on, whatever sessions it took. A session counts what it
 * received. They differ by where the session began and by the gaps: audio that was dropped on the way. Audio is
 * settled when it is final, silent or reported as lost: no session needs it again.
 */

/** Types of messages that a server keeps for a client that was cut off. */
const LASTING = new Set(['final', 'finalized', 'error', 'done']);

export class Timeline {
  #rateHz;
  #begun = 0;
  #gaps = [];
  #lastSeq = 0;
  #seqBefore = 0;
  #nextSegment = 0;
  #segmentsBefore = 0;
  #countBefore = { received: 0, transcribed: 0, silent: 0, shed: 0 };
  #transcribed = 0;
  #shed = 0;
  #done = null;

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.#rateHz = rateHz;
    /** First sample of the stream that is not settled. */
    this.settled = 0;
    /** Messages of the present session that a server sends again to who does not have them. */
    this.lasting = 0;
  }

  /** The last event that came, in the session's count, for `last_seq`. */
  get sessionSeq() {
    return Math.max(0, this.#lastSeq - this.#seqBefore);
  }

  /** Samples [from, to) of the stream are not sent. */
  skip(from, to) {
    this.#gaps.push({ at: this.#toSession(from), missing: to - from });
  }

  /**
   * Another connection to the session, which has heard so much and goes on there: gaps further on were not reached.
   * @param {number} sample in the session's count
   * @returns {number} the same place in the stream's count
   */
  resume(sample) {
    this.#gaps = this.#gaps.filter((gap) => gap.at <= sample);
    return this.toStream(sample);
  }

  /** Another session, from this place of the stream on. It counts from zero. */
  beginAgain(place) {
    const received = this.#toSession(this.settled);
    const silent = received - this.#transcribed - this.#shed;
    const count = this.#done ?? { received, transcribed: this.#transcribed, silent, shed: this.#shed };
    this.#countBefore = sum(this.#countBefore, count);
    this.#begun = this.settled = place;
    this.#gaps = [];
    this.#seqBefore = this.#lastSeq;
    this.#segmentsBefore = this.#nextSegment;
    this.#transcribed = this.#shed = 0;
    this.#done = null;
    this.lasting = 0;
  }

  /** A place in the stream's count for one in the session's; in samples. */
  toStream(sample) {
    let place = sample + this.#begun;
    for (const gap of this.#gaps) if (gap.at <= sample) place += gap.missing;
    return place;
  }

  /**
   * Takes in a message of the server.
   * @param {any} message
   * @returns {any} it as an event of the stream; null where it came before
   */
  take(message) {
    if (LASTING.has(message.type)) this.lasting++;
    if ('seq' in message && message.seq + this.#seqBefore <= this.#lastSeq) return null;
    const event = this.#moved(message);
    if ('seq' in event) {
      this.#lastSeq = event.seq;
      this.#nextSegment = Math.max(this.#nextSegment, event.segment_id + 1);
    }
    if (event.type === 'final') {
      this.#transcribed += this.#settle(message.start_s, message.end_s);
    } else if (event.type === 'error' && message.end_s != null) {
      this.#shed += this.#settle(message.start_s, message.end_s);
    } else if (event.type === 'stats') {
      this.#settle(0, message.settled_s);
    } else if (event.type === 'done') {
      this.#done = message.samples;
      this.#nextSegment = Math.max(this.#nextSegment, event.segments);
      this.settled = Math.max(this.settled, this.toStream(message.samples.received));
    }
    return event;
  }

  #moved(message) {
    const event = { ...message };
    if ('seq' in event) event.seq += this.#seqBefore;
    if ('segment_id' in event) event.segment_id += this.#segmentsBefore;
    if ('segments' in event) event.segments += this.#segmentsBefore;
    if (event.samples) event.samples = sum(this.#countBefore, event.samples);
    for (const name of ['at_s', 'audio_end_s', 'start_s', 'end_s', 'settled_s']) {
      if (event[name] != null) event[name] = this.#seconds(event[name]);
    }
    if (event.words) {
      event.words = event.words.map((word) => ({
        ...word,
        start_s: this.#seconds(word.start_s),
        end_s: this.#seconds(word.end_s),
      }));
    }
    return event;
  }

  /** A stretch of the session is settled, and all before it. Returns its samples. */
  #settle(start_s, end_s) {
    // halves go up, as in the server's own count
    const [start, end] = [start_s, end_s].map((place_s) => this.toStream(Math.floor(place_s * this.#rateHz + 0.5)));
    const count = Math.max(0, this.#toSession(end) - this.#toSession(Math.max(start, this.settled)));
    this.settled = Math.max(this.settled, end);
    return count;
  }

  #seconds(seconds) {
    return this.toStream(seconds * this.#rateHz) / this.#rateHz;
  }

  #toSession(place) {
    let sample = place - this.#begun;
    for (const gap of this.#gaps) if (sample > gap.at) sample = Math.max(gap.at, sample - gap.missing);
    return sample;
  }
}

function sum(a, b) {
  return Object.fromEntries(Object.keys(a).map((name) => [name, a[name] + b[name]]));
}
