/**
 * What was asked of a stream, each request in its place in the audio. A session that was cut off is asked again what it
 * cannot have heard; a new session is asked all that still holds. It knows no sockets and no audio.
 */
export class Requests {
  #asked = [];
  #told = 0;

  /** @param {object} start the options of the stream */
  constructor(start) {
    /** How a session that begins at the settled place has to be started. */
    this.start = { ...start };
  }

  /** Place of the request that is to be sent next, in samples. */
  get nextAt() {
    return this.#asked[this.#told]?.at ?? Infinity;
  }

  /**
   * @param {number} at the end of the audio so far
   * @param {{type: string}} message
   */
  ask(at, message) {
    this.#asked.push({ at, message });
  }

  /** The request that is to be sent next; it then counts as sent over the present connection. */
  take() {
    return this.#asked[this.#told++].message;
  }

  /**
   * Takes in the answer to `finalize`.
   * @returns {boolean} false if it came before
   */
  answered(id) {
    const index = this.#asked.findIndex(({ message }) => message.type === 'finalize' && message.id === id);
    if (index >= 0) this.#forget(index);
    return index >= 0;
  }

  /** Audio before `at` is settled: what was changed there is an option of every later session. */
  settle(at) {
    let index;
    while ((index = this.#asked.findIndex((asked) => asked.at < at && asked.message.type === 'configure')) >= 0) {
      const { type: _, ...changes } = this.#asked[index].message;
      for (const [name, value] of Object.entries(changes)) if (value !== null) this.start[name] = value;
      this.#forget(index);
    }
  }

  /** Another connection to a session that heard the audio before `at`, and so what was asked before its end. */
  resume(at) {
    const first = this.#asked.findIndex((asked) => asked.at >= at);
    this.#told = first < 0 ? this.#asked.length : first;
  }

  /** Another session. */
  renew() {
    this.#told = 0;
  }

  #forget(index) {
    this.#asked.splice(index, 1);
    if (index < this.#told) this.#told--;
  }
}
