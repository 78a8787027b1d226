/** The level of the last seconds as a row of bars: the newest at the right. */

/** Loudness that fills no bar, and that fills it, in dB below full scale. */
const QUIET_DB = -60;
const LOUD_DB = -6;

/** Bars a second: enough to see syllables, and little to draw. */
const BARS_HZ = 10;
const BAR_PX = 3;
const GAP_PX = 3;

export class Meter {
  #canvas;
  #levels = [];
  #peak = 0;
  #dueMs = 0;
  #colour = '';

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    new ResizeObserver(() => this.#fit()).observe(canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#fit());
  }

  /**
   * @param {number} level root mean square, 0..1
   * @param {number} nowMs
   */
  add(level, nowMs) {
    this.#peak = Math.max(this.#peak, level);
    if (nowMs < this.#dueMs) return;
    this.#dueMs = nowMs + 1000 / BARS_HZ;
    this.#levels.push(fullness(this.#peak));
    this.#levels.splice(0, this.#levels.length - this.#room);
    this.#peak = 0;
    this.#draw();
  }

  clear() {
    this.#levels = [];
    this.#draw();
  }

  get #room() {
    return Math.floor(this.#canvas.clientWidth / (BAR_PX + GAP_PX));
  }

  #fit() {
    const scale = devicePixelRatio;
    this.#canvas.width = this.#canvas.clientWidth * scale;
    this.#canvas.height = this.#canvas.clientHeight * scale;
    this.#colour = getComputedStyle(this.#canvas).color;
    this.#draw();
  }

  #draw() {
    const pen = this.#canvas.getContext('2d');
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = this.#colour;
    pen.beginPath();
    this.#levels.toReversed().forEach((level, i) => {
      const tall = Math.max(BAR_PX, level * height);
      pen.roundRect(width - (i + 1) * (BAR_PX + GAP_PX), (height - tall) / 2, BAR_PX, tall, BAR_PX / 2);
    });
    pen.fill();
  }
}

/** 0..1 for a level. */
function fullness(level) {
  const db = 20 * Math.log10(Math.max(level, 1e-6));
  return Math.max(0, Math.min(1, (db - QUIET_DB) / (LOUD_DB - QUIET_DB)));
}
