/** Draws latency and jitter of the last minute: one dot for each event, filled for finals; jitter as a line. */

const SPAN_MS = 60_000;
const AXIS_PX = 44;
const FOOT_PX = 18;
const TOP_PX = 8;

/** Upper ends of the scale, in ms: the smallest that holds all values is taken. */
const SCALES_MS = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 60_000];

export class Chart {
  #canvas;
  #colours = {};

  /** @param {HTMLCanvasElement} canvas its colours come from CSS: text is `color`; `border-top`, `border-bottom` and
   *   `outline`, of no width, colour events, jitter and lines */
  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#fit());
  }

  /** Whether drawing would be seen. */
  get visible() {
    return this.#canvas.clientWidth > 0;
  }

  /**
   * @param {import('./latency.js').Latency} latency
   * @param {number} nowMs
   */
  draw(latency, nowMs) {
    if (!this.visible) return;
    const events = latency.events.filter((event) => event.atMs > nowMs - SPAN_MS);
    const jitter = latency.jitter.filter((point) => point.atMs > nowMs - SPAN_MS);
    const top = Math.max(0, ...events.map((event) => event.ms), ...jitter.map((point) => point.ms));
    const scale = SCALES_MS.find((ms) => ms >= top) ?? top;
    const pen = this.#pen();
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const x = (atMs) => AXIS_PX + ((atMs - nowMs + SPAN_MS) / SPAN_MS) * (width - AXIS_PX - 8);
    const y = (ms) => TOP_PX + (1 - ms / scale) * (height - TOP_PX - FOOT_PX);
    this.#axes(pen, scale, y);
    this.#line(pen, jitter, x, y);
    for (const event of events) this.#dot(pen, x(event.atMs), y(event.ms), event.kind === 'final');
  }

  #pen() {
    const pen = this.#canvas.getContext('2d');
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.#canvas.clientWidth, this.#canvas.clientHeight);
    pen.font = `11px ${this.#colours.font}`;
    return pen;
  }

  #axes(pen, scale, y) {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    pen.lineWidth = 1;
    for (const part of [0, 0.5, 1]) {
      const line = Math.round(y(part * scale)) + 0.5;
      pen.strokeStyle = this.#colours.rule;
      pen.beginPath();
      pen.moveTo(AXIS_PX, line);
      pen.lineTo(width, line);
      pen.stroke();
      pen.fillStyle = this.#colours.text;
      pen.textAlign = 'right';
      pen.textBaseline = 'middle';
      pen.fillText(part === 0 ? '0 ms' : String(part * scale), AXIS_PX - 8, line);
    }
    pen.textBaseline = 'bottom';
    pen.fillText('now', width, height);
    pen.textAlign = 'left';
    pen.fillText('1 min ago', AXIS_PX, height);
  }

  #line(pen, points, x, y) {
    pen.strokeStyle = this.#colours.soft;
    pen.lineWidth = 2;
    pen.beginPath();
    for (const point of points) pen.lineTo(x(point.atMs), y(point.ms));
    pen.stroke();
  }

  #dot(pen, x, y, filled) {
    pen.strokeStyle = pen.fillStyle = this.#colours.accent;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(x, y, filled ? 3.5 : 2.5, 0, 2 * Math.PI);
    if (filled) pen.fill();
    else pen.stroke();
  }

  #fit() {
    this.#canvas.width = this.#canvas.clientWidth * devicePixelRatio;
    this.#canvas.height = this.#canvas.clientHeight * devicePixelRatio;
    const style = getComputedStyle(this.#canvas);
    this.#colours = {
      text: style.color,
      font: style.fontFamily,
      accent: style.borderTopColor,
      soft: style.borderBottomColor,
      rule: style.outlineColor,
    };
  }
}
