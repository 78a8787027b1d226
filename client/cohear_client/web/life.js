/**
 * Keepalives on one connection: the page sends them when it has nothing else to send, and ends a connection on which
 * the server is silent for too long.
 */

/** Keepalives come this often within the server's idle timeout. */
const KEEPALIVES = 3;

/** A connection on which nothing came for so long is lost: the server's statistics were due many times. */
const DEAD_MS = 60_000;

export class Life {
  #timer;
  #spokeMs = performance.now();
  #heardMs = performance.now();

  /**
   * @param {number} idleMs after which the server ends a silent stream; 0: never
   * @param {{speak: () => void, lose: () => void}} ways to say a keepalive, and to give the connection up
   */
  constructor(idleMs, { speak, lose }) {
    const silentMs = (idleMs || DEAD_MS) / KEEPALIVES;
    this.#timer = setInterval(() => {
      const now = performance.now();
      if (now - this.#heardMs > DEAD_MS) lose();
      else if (now - this.#spokeMs >= silentMs) speak();
    }, silentMs / 2);
  }

  /** Something was sent. */
  spoke() {
    this.#spokeMs = performance.now();
  }

  /** Something came. */
  heard() {
    this.#heardMs = performance.now();
  }

  end() {
    clearInterval(this.#timer);
  }
}
