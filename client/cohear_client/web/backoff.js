/** Waiting, and how long between tries of a lost connection. */

/** Waits in ms; the last one repeats. */
const WAITS_MS = [100, 200, 500, 1000, 2000];

/** Part by which each wait is longer or shorter, so that the pages of a restarted server do not come back at once. */
const SPREAD = 0.2;

/**
 * @param {() => number} [random] 0..1
 * @returns {Generator<number, never>} waits in ms, without end
 */
export function* backoffMs(random = Math.random) {
  for (let i = 0; ; i++) {
    const waitMs = WAITS_MS[Math.min(i, WAITS_MS.length - 1)];
    yield Math.round(waitMs * (1 - SPREAD + 2 * SPREAD * random()));
  }
}

/** @param {number} ms */
export function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
