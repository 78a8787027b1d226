/** Measurements of one stream: latency of its events, jitter, and how long a frame takes from capture to send. */

/** Values kept of each; the oldest go. */
const KEEP = 600;

const STAGES = ['receive_ms', 'vad_ms', 'queue_ms', 'batch_wait_ms', 'decode_ms', 'stabilise_ms', 'emit_ms'];

export class Latency {
  /** @type {{atMs: number, ms: number, kind: 'partial' | 'final'}[]} */
  events = [];
  /** @type {{atMs: number, ms: number}[]} */
  jitter = [];
  #sends = [];

  /**
   * @param {any} event `partial` or `final`
   * @param {number} nowMs
   */
  addEvent(event, nowMs) {
    const ms = STAGES.reduce((sum, stage) => sum + event.timing[stage], 0);
    keep(this.events, { atMs: nowMs, ms, kind: event.type });
  }

  /** @param {any} stats */
  addStats(stats, nowMs) {
    keep(this.jitter, { atMs: nowMs, ms: stats.jitter_ms });
  }

  /** @param {number} ms from a frame's first sample to the socket */
  addSend(ms) {
    keep(this.#sends, ms);
  }

  clear() {
    this.events = [];
    this.jitter = [];
    this.#sends = [];
  }

  /** Numbers for the page, in ms; null where there is none yet. */
  summary() {
    const times = this.events.map((event) => event.ms);
    return {
      last: times.at(-1) ?? null,
      median: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      jitter: this.jitter.at(-1)?.ms ?? null,
      send: quantile(this.#sends, 0.95),
    };
  }
}

/** @returns {number | null} the value below which this part of `values` lies */
export function quantile(values, part) {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)];
}

function keep(values, value) {
  values.push(value);
  if (values.length > KEEP) values.shift();
}
