/** The dashboard's charts and tables: plain data in, elements out. It asks no server. */
import { TimeSeries } from './timeseries.js';

/** How far the charts reach back at least, however young the server is. */
const LEAST_S = 120;

export const NOTHING = '–';

export const written = {
  count: (value) => String(Math.round(value * 100) / 100),
  ms: (value) => {
    if (value < 1000) return `${Math.round(value)} ms`;
    return value < 10_000 ? `${Math.round(value / 10) / 100} s` : `${Math.round(value / 1000)} s`;
  },
  share: (value) => `${Math.round(100 * value)} %`,
  seconds: (value) => {
    if (value < 100) return `${Math.round(10 * value) / 10} s`;
    return value < 6000 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
  },
};

/** @param {number | null} value */
export function orNothing(value, how) {
  return value === null || value === undefined ? NOTHING : how(value);
}

const percentiles = (name) => [
  ['Median', `${name}.p50`],
  ['95 of 100', `${name}.p95`],
  ['99 of 100', `${name}.p99`],
];

/** What each chart shows: lines are a label and the name of a series. */
const CHARTS = [
  { title: 'First partial', how: written.ms, least: 100, lines: percentiles('first_partial_ms') },
  { title: 'First words', how: written.ms, least: 100, lines: percentiles('first_words_ms') },
  { title: 'Final', how: written.ms, least: 100, lines: percentiles('final_ms') },
  {
    title: 'Streams',
    how: written.count,
    least: 4,
    leading: 1,
    lines: [
      ['At once', 'streams'],
      ['Room for', 'capacity'],
    ],
  },
  {
    title: 'Engine busy',
    how: written.share,
    least: 1,
    lines: [
      ['Of its slots', 'busy'],
      ['Asked for', 'demand'],
    ],
  },
  {
    title: 'Waiting windows',
    how: written.count,
    least: 4,
    lines: [
      ['Finals', 'queued_finals'],
      ['Partials', 'queued_partials'],
    ],
  },
  { title: 'Windows in a batch', how: written.count, least: 4, lines: [['Mean', 'batch_size']] },
  { title: 'Arrival jitter', how: written.ms, least: 20, lines: percentiles('jitter_ms').slice(0, 2) },
  {
    title: 'Shed and refused',
    how: written.count,
    least: 4,
    lines: [
      ['Shed, s', 'shed_s'],
      ['Refused', 'refused'],
      ['Errors', 'errors'],
    ],
  },
];

/** All charts in their cards. */
export class Charts {
  #cards;

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#cards = CHARTS.map((chart) => new Card(chart));
    place.append(...this.#cards.map((card) => card.element));
  }

  /** @param {any} history of the server's status */
  show(history) {
    for (const card of this.#cards) card.show(history);
  }
}

class Card {
  #chart;
  #canvas = made('canvas', 'lines');
  #series;
  #values = [];
  #at = made('span', 'at');
  #lines = [];
  #stepS = 0;

  constructor(chart) {
    this.#chart = chart;
    this.element = made('section', 'card');
    this.#canvas.role = 'img';
    const keys = made('p', 'keys-row');
    chart.lines.forEach(([label], i) => {
      const stroke = made('span', 'stroke');
      stroke.dataset.line = String(i);
      const value = made('b', '', NOTHING);
      const key = made('span');
      key.append(stroke, `${label} `, value);
      keys.append(key);
      this.#values.push(value);
    });
    keys.append(this.#at);
    this.element.append(made('h3', '', chart.title), this.#canvas, keys);
    this.#series = new TimeSeries(this.#canvas, { written: chart.how, least: chart.least, leading: chart.leading });
    this.#series.onPoint = (step) => this.#tell(step);
  }

  show(history) {
    this.#stepS = history.step_s;
    this.#lines = this.#chart.lines.map(([label, name]) => ({ label, values: history[name] ?? [] }));
    const steps = Math.max(LEAST_S / history.step_s, history.streams?.length ?? 0);
    const minutes = Math.round((steps * history.step_s) / 60);
    this.#series.show(this.#lines, steps, `${minutes} min ago`);
    const spoken = this.#lines.map(({ label, values }) => this.#spoken(label, values)).join('; ');
    this.#canvas.ariaLabel = `${this.#chart.title} over ${minutes} minutes. ${spoken}`;
    this.#tell(null);
  }

  #spoken(label, values) {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${label}: nothing yet`;
    const how = this.#chart.how;
    return `${label}: last ${how(known.at(-1))}, from ${how(Math.min(...known))} to ${how(Math.max(...known))}`;
  }

  /** @param {number | null} step the one pointed at, or null for the newest */
  #tell(step) {
    this.#lines.forEach(({ values }, i) => {
      this.#values[i].textContent = orNothing(step === null ? (values.at(-1) ?? null) : values[step], this.#chart.how);
    });
    const ago = step === null ? 0 : (this.#lines[0].values.length - 1 - step) * this.#stepS;
    this.#at.textContent = ago === 0 ? '' : `${Math.floor(ago / 60)}:${String(ago % 60).padStart(2, '0')} ago`;
  }
}

/**
 * Fills a table's body, and shows its note where there is no row.
 * @param {HTMLElement} body
 * @param {HTMLElement} note
 * @param {(string | Node)[][]} rows
 * @param {number} numbersFrom the first column that holds numbers
 */
export function fill(body, note, rows, numbersFrom = Infinity) {
  note.hidden = rows.length > 0;
  body.parentElement.hidden = rows.length === 0;
  body.replaceChildren(
    ...rows.map((cells) => {
      const row = made('tr');
      row.append(
        ...cells.map((cell, column) => {
          const place = made('td', column >= numbersFrom ? 'number' : '');
          place.append(cell);
          return place;
        }),
      );
      return row;
    }),
  );
}

/** @returns {HTMLElement} */
export function made(tag, className = '', text = '') {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
