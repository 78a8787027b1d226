/**
 * The transcript on the page. Words that stay keep their elements, so that only what is new appears and only what
 * changed moves; the scroll follows the newest word unless the reader went elsewhere.
 */
import { glue } from './transcript.js';

/** Lowest confidence of each shade; the legend in index.html shows the same. */
const SHADES = [
  [0.9, 'sure'],
  [0.7, 'likely'],
  [0.5, 'unsure'],
  [0, 'guess'],
];

/** A pause that begins a new paragraph, in seconds. */
const PARAGRAPH_S = 2;

/** How near the end of the page counts as reading along, in CSS pixels. */
const NEAR_PX = 96;

export class TranscriptView {
  #list;
  #scroller;
  #toNewest;
  #shown = new Map();
  #following = true;
  #scrolling = 0;
  #top = 0;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.list segments go here
   * @param {HTMLElement} parts.scroller what scrolls
   * @param {HTMLButtonElement} parts.toNewest brings the reader back
   */
  constructor({ list, scroller, toNewest }) {
    this.#list = list;
    this.#scroller = scroller;
    this.#toNewest = toNewest;
    scroller.addEventListener('scroll', () => this.#noticeReader(), { passive: true });
    toNewest.addEventListener('click', () => this.follow());
  }

  /** @param {import('./transcript.js').Segment} segment new, or shown before */
  show(segment) {
    const shown = this.#shown.get(segment.id) ?? this.#open(segment);
    shown.text.dataset.state = segment.state;
    shown.end_s = segment.end_s;
    this.#words(shown, segment);
    if (this.#following) this.#scrollSoon();
    else this.#toNewest.hidden = false;
  }

  /** @param {number[]} ids */
  remove(ids) {
    for (const id of ids) {
      const { text, paragraph } = this.#shown.get(id) ?? {};
      text?.remove();
      if (paragraph && !paragraph.querySelector('.segment')) paragraph.remove();
      this.#shown.delete(id);
    }
  }

  clear() {
    this.remove([...this.#shown.keys()]);
    this.follow();
  }

  /** Keeps the newest word in sight from here on. */
  follow() {
    this.#following = true;
    this.#toNewest.hidden = true;
    this.#scrollDown();
  }

  #open(segment) {
    const last = [...this.#shown.values()].at(-1);
    const goesOn = last && segment.start_s - last.end_s < PARAGRAPH_S;
    const paragraph = goesOn ? last.paragraph : this.#paragraph(segment.start_s);
    const text = element('span', 'segment');
    paragraph.append(text);
    const shown = { paragraph, text, end_s: segment.end_s, words: [] };
    this.#shown.set(segment.id, shown);
    return shown;
  }

  #paragraph(start_s) {
    const paragraph = element('p', 'paragraph');
    const time = element('span', 'time');
    time.textContent = stamp(start_s, 0);
    paragraph.append(time);
    this.#list.append(paragraph);
    return paragraph;
  }

  #words(shown, segment) {
    const between = glue(segment.language);
    let same = 0;
    while (same < shown.words.length && shown.words[same].textContent === segment.words[same]?.text) same++;
    for (const old of shown.words.splice(same)) {
      old.nextSibling?.remove(); // the space behind it
      old.remove();
    }
    for (const word of segment.words.slice(same)) {
      const span = element('span', 'word');
      span.textContent = word.text;
      shown.text.append(span, between);
      shown.words.push(span);
    }
    segment.words.forEach((word, i) => dress(shown.words[i], word));
  }

  #noticeReader() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // a scroll of our own may be told of when more text is there already; only a reader goes up
    this.#following = near || (this.#following && scrollTop >= this.#top);
    this.#top = scrollTop;
    if (this.#following) this.#toNewest.hidden = true;
  }

  /** Once a frame, when the browser has laid the words out anyway. */
  #scrollSoon() {
    this.#scrolling ||= requestAnimationFrame(() => {
      this.#scrolling = 0;
      if (this.#following) this.#scrollDown();
    });
  }

  #scrollDown() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }
}

/** Minutes and seconds of a place in the audio. */
export function stamp(seconds, digits) {
  const rest = (seconds % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, '0');
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

function dress(span, word) {
  const shade = SHADES.find(([least]) => word.confidence >= least)?.[1] ?? 'guess';
  const tip = `${stamp(word.start_s, 1)} · ${Math.round(word.confidence * 100)} %`;
  // writing what is there already would cost a style pass for each word of each event
  if (span.dataset.shade !== shade) span.dataset.shade = shade;
  if (span.dataset.tip !== tip) span.dataset.tip = tip;
  if (span.classList.contains('volatile') === word.stable) span.classList.toggle('volatile', !word.stable);
}

function element(name, className) {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
