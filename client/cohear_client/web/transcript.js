/**
 * What was said so far: segments of words, from the events of one stream after another. No page in it.
 *
 * Times count on from one recording to the next, so that a whole transcript has one clock.
 */

/** Languages written without spaces between words (ISO 639 codes). */
const UNSPACED = new Set(['zh', 'yue', 'ja', 'th', 'lo', 'my', 'km']);

/** @typedef {{text: string, start_s: number, end_s: number, confidence: number, stable: boolean}} Word */

/**
 * @typedef {object} Segment
 * @property {number} id
 * @property {'partial' | 'final'} state
 * @property {Word[]} words
 * @property {string} text
 * @property {string} language
 * @property {number} start_s
 * @property {number} end_s
 * @property {number} confidence
 */

export class Transcript {
  #segments = new Map();
  #stale = [];
  #first = 0;
  #next = 0;
  #begun_s = 0;
  #end_s = 0;

  /** All segments in the order of the audio. */
  get segments() {
    return [...this.#segments.values()];
  }

  /** Those with text that will not be taken back. */
  get finals() {
    return this.segments.filter((segment) => segment.state !== 'partial');
  }

  get language() {
    return this.finals[0]?.language ?? '';
  }

  get text() {
    return join(
      this.finals.map((segment) => segment.text),
      this.language,
    );
  }

  /** Where the present stream begins, in seconds. */
  get begun_s() {
    return this.#begun_s;
  }

  /** Another stream begins: its segments and times count on from here. */
  beginStream() {
    this.#first = this.#next;
    this.#begun_s = this.#end_s;
    this.restart();
  }

  /** The stream goes on so far, in seconds; the next one begins after it. */
  reach(seconds) {
    this.#end_s = Math.max(this.#end_s, this.#begun_s + seconds);
  }

  /** What is not final is spoken again under another number: it goes when the next text comes. */
  restart() {
    this.#stale = this.segments.filter((segment) => segment.state === 'partial').map((segment) => segment.id);
  }

  /**
   * Takes in an event.
   * @param {any} event a message of the server
   * @returns {{changed: Segment | null, removed: number[]}} what to show anew, and what to show no longer
   */
  add(event) {
    if (!['partial', 'final'].includes(event.type)) return { changed: null, removed: [] };
    const removed = this.#remove(this.#stale.splice(0));
    const segment = this.#segment(event);
    if (segment.words.length === 0) {
      removed.push(...this.#remove([segment.id]));
      return { changed: null, removed };
    }
    this.#segments.set(segment.id, segment);
    this.#next = Math.max(this.#next, segment.id + 1);
    this.#end_s = Math.max(this.#end_s, segment.end_s);
    return { changed: segment, removed };
  }

  /** What is still partial will not become final: the stream is over. */
  endStream() {
    return this.#remove(this.segments.filter((segment) => segment.state === 'partial').map((segment) => segment.id));
  }

  clear() {
    this.#segments.clear();
    this.#begun_s = this.#end_s = 0;
  }

  #segment(event) {
    const id = event.segment_id + this.#first;
    const before = this.#segments.get(id);
    const text = textOf(event);
    const start_s = event.start_s === undefined ? before?.start_s : event.start_s + this.#begun_s;
    const end = event.end_s ?? event.audio_end_s;
    const end_s = end === undefined ? (before?.end_s ?? 0) : end + this.#begun_s;
    const words = event.words?.length ? this.#timed(event) : untimed(event, text, [start_s ?? end_s, end_s]);
    return {
      id,
      state: event.type,
      words,
      text,
      language: event.language ?? before?.language ?? '',
      start_s: start_s ?? words[0]?.start_s ?? end_s,
      end_s,
      confidence: event.confidence,
    };
  }

  #timed(event) {
    const stable = event.type === 'partial' ? length(event.stable) : Infinity;
    let told = 0;
    return event.words.map((word) => {
      told += length(word.text);
      return {
        text: UNSPACED.has(event.language) ? word.text : word.text.trim(),
        start_s: word.start_s + this.#begun_s,
        end_s: word.end_s + this.#begun_s,
        confidence: word.confidence,
        stable: told <= stable,
      };
    });
  }

  #remove(ids) {
    return ids.filter((id) => this.#segments.delete(id));
  }
}

/** What lies between two words. */
export function glue(language) {
  return UNSPACED.has(language) ? '' : ' ';
}

/** One line of several texts. */
export function join(texts, language) {
  return texts
    .map((text) => text.trim())
    .filter(Boolean)
    .join(glue(language));
}

function textOf(event) {
  const text = event.type === 'partial' ? event.stable + glue(event.language) + event.volatile : event.text;
  return text.replace(/\s+/g, ' ').trim();
}

/** Words of a text that came without them: all as sure as the text, each with its share of the time by its length. */
function untimed(event, text, [start_s, end_s]) {
  const stable = event.type === 'partial' ? length(event.stable) : Infinity;
  const total = length(text);
  let told = 0;
  return text.split(' ').filter(Boolean).map((part) => {
    const from_s = start_s + ((end_s - start_s) * told) / total;
    told += length(part);
    const to_s = start_s + ((end_s - start_s) * told) / total;
    return { text: part, start_s: from_s, end_s: to_s, confidence: event.confidence, stable: told <= stable };
  });
}

/** Characters that count when text is told apart: words may or may not bring their spaces. */
function length(text) {
  return text.replace(/\s+/g, '').length;
}
