/** Lines over the last minutes, drawn on a canvas: one to three, each a value a step; no value, no line. */

const AXIS_PX = 52;
const FOOT_PX = 18;
const TOP_PX = 6;
const RIGHT_PX = 6;

/** How lines differ besides in colour. */
const DASHES = [[], [6, 4], [2, 3]];

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {(number | null)[]} values oldest first
 */

export class TimeSeries {
  #canvas;
  #written;
  #least;
  #leading;
  #colours = {};
  #lines = [];
  #steps = 0;
  #span = '';
  #pointed = null;

  /** What the pointer is on: the step, or null. */
  onPoint = (_step) => {};

  /**
   * @param {HTMLCanvasElement} canvas its colours come from CSS: text is `color`, lines are `border-top`,
   *   `border-right` and `border-bottom`, the grid is `outline`; none of them has a width
   * @param {{written: (value: number) => string, least: number, leading?: number}} options how values are written;
   *   the smallest top of the scale; how many of the first lines decide the scale (all): what others have beyond it is
   *   not drawn
   */
  constructor(canvas, { written, least, leading = Infinity }) {
    this.#canvas = canvas;
    this.#written = written;
    this.#least = least;
    this.#leading = leading;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#fit());
    canvas.addEventListener('pointermove', (event) => this.#point(event));
    canvas.addEventListener('pointerleave', () => this.#unpoint());
  }

  /**
   * @param {Line[]} lines
   * @param {number} steps how many values the whole width has; fewer are drawn at its right end
   * @param {string} span what the left end is, in words
   */
  show(lines, steps, span) {
    this.#lines = lines;
    this.#steps = steps;
    this.#span = span;
    this.#draw();
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0 || this.#steps === 0) return;
    const pen = this.#canvas.getContext('2d');
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.font = `11px ${this.#colours.font}`;
    const deciding = this.#lines.slice(0, this.#leading).flatMap((line) => line.values);
    const top = roundUp(Math.max(this.#least, ...deciding.filter((value) => value !== null)));
    const y = (value) => TOP_PX + (1 - value / top) * (height - TOP_PX - FOOT_PX);
    this.#axes(pen, top, y);
    if (this.#pointed !== null) this.#cursor(pen);
    this.#lines.forEach((line, i) => this.#line(pen, line.values.map((value) => (value > top ? null : value)), i, y));
  }

  #x(step, count) {
    const place = (this.#steps - count + step) / Math.max(1, this.#steps - 1);
    return AXIS_PX + place * (this.#canvas.clientWidth - AXIS_PX - RIGHT_PX);
  }

  #axes(pen, top, y) {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    pen.lineWidth = 1;
    pen.setLineDash([]);
    pen.fillStyle = this.#colours.text;
    pen.strokeStyle = this.#colours.rule;
    pen.textAlign = 'right';
    pen.textBaseline = 'middle';
    for (const part of [0, 0.5, 1]) {
      const line = Math.round(y(part * top)) + 0.5;
      pen.beginPath();
      pen.moveTo(AXIS_PX, line);
      pen.lineTo(width - RIGHT_PX, line);
      pen.stroke();
      pen.fillText(this.#written(part * top), AXIS_PX - 8, line);
    }
    pen.textBaseline = 'bottom';
    pen.fillText('now', width - RIGHT_PX, height);
    pen.textAlign = 'left';
    pen.fillText(this.#span, AXIS_PX, height);
  }

  #line(pen, values, i, y) {
    pen.strokeStyle = pen.fillStyle = this.#colours.lines[i];
    pen.lineWidth = i === 0 ? 2 : 1.5;
    pen.setLineDash(DASHES[i]);
    pen.lineJoin = 'round';
    pen.beginPath();
    let down = false;
    values.forEach((value, step) => {
      if (value === null) {
        down = false;
        return;
      }
      const x = this.#x(step, values.length);
      const alone = !down && (values[step + 1] ?? null) === null;
      if (alone) pen.fillRect(x - 1, y(value) - 1, 2, 2);
      if (down) pen.lineTo(x, y(value));
      else pen.moveTo(x, y(value));
      down = true;
    });
    pen.stroke();
  }

  #cursor(pen) {
    const x = Math.round(this.#x(this.#pointed, this.#count)) + 0.5;
    pen.strokeStyle = this.#colours.text;
    pen.setLineDash([]);
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, TOP_PX);
    pen.lineTo(x, this.#canvas.clientHeight - FOOT_PX);
    pen.stroke();
  }

  get #count() {
    return this.#lines[0]?.values.length ?? 0;
  }

  #point({ offsetX }) {
    const place = (offsetX - AXIS_PX) / (this.#canvas.clientWidth - AXIS_PX - RIGHT_PX);
    const step = Math.round(place * (this.#steps - 1)) - (this.#steps - this.#count);
    this.#pointed = step >= 0 && step < this.#count ? step : null;
    this.onPoint(this.#pointed);
    this.#draw();
  }

  #unpoint() {
    this.#pointed = null;
    this.onPoint(null);
    this.#draw();
  }

  #fit() {
    this.#canvas.width = Math.round(this.#canvas.clientWidth * devicePixelRatio);
    this.#canvas.height = Math.round(this.#canvas.clientHeight * devicePixelRatio);
    const style = getComputedStyle(this.#canvas);
    this.#colours = {
      text: style.color,
      font: style.fontFamily,
      rule: style.outlineColor,
      lines: [style.borderTopColor, style.borderRightColor, style.borderBottomColor],
    };
    this.#draw();
  }
}

/** The least of 1, 2, 4, 5, 8, 10 times a power of ten that is not below `value`. */
export function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 8, 10].find((step) => step * power >= value * 0.999999);
}
