/**
 * Segments to subtitle cues, by the rules of the command line's `subtitles.py`: at most two lines of 42 characters and
 * seven seconds, cut best after punctuation or in a pause. The two write the same files; a test compares them.
 */
import { glue } from './transcript.js';

const LINE_CHARS = 42;
const LINES = 2;
const MAX_CUE_MS = 7000;
const PAUSE_MS = 700;
const ENDS = [
  ['.', '?', '!', '。', '？', '！', '…'],
  [',', ';', ':', '，', '、'],
];

/**
 * @param {import('./transcript.js').Segment[]} segments
 * @returns {{startMs: number, endMs: number, lines: string[]}[]}
 */
export function cues(segments) {
  const made = [];
  for (const segment of segments) {
    for (const group of grouped(pieces(segment))) {
      const startMs = Math.max(group[0].startMs, made.at(-1)?.endMs ?? 0);
      const endMs = Math.max(group.at(-1).endMs, startMs + 1);
      made.push({ startMs, endMs, lines: wrap(textOf(group)) });
    }
  }
  return made;
}

/** SubRip. */
export function srt(segments) {
  return cues(segments)
    .map(({ startMs, endMs, lines }, i) => {
      const text = lines.join('\n').replaceAll('-->', '->');
      return `${i + 1}\n${clock(startMs, ',')} --> ${clock(endMs, ',')}\n${text}\n`;
    })
    .join('\n');
}

/** WebVTT. */
export function vtt(segments) {
  const blocks = cues(segments).map(({ startMs, endMs, lines }) => {
    const text = lines.join('\n').replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
    return `\n${clock(startMs, '.')} --> ${clock(endMs, '.')}\n${text}\n`;
  });
  return 'WEBVTT\n' + blocks.join('');
}

function pieces(segment) {
  const between = glue(segment.language);
  return segment.words
    .map((word) => ({ word, text: word.text.split(/\s+/).filter(Boolean).join(' ') }))
    .filter(({ text }) => text)
    .map(({ word, text }) => ({ text: between + text, startMs: ms(word.start_s), endMs: ms(word.end_s) }));
}

function* grouped(all) {
  let group = [];
  for (const piece of all) {
    while (group.length > 0 && !fits([...group, piece])) {
      const cut = bestCut(group);
      yield group.slice(0, cut);
      group = group.slice(cut);
    }
    if (group.length > 0 && piece.startMs - group.at(-1).endMs >= PAUSE_MS) {
      yield group;
      group = [];
    }
    group.push(piece);
  }
  if (group.length > 0) yield group;
}

function fits(group) {
  return wrap(textOf(group)).length <= LINES && group.at(-1).endMs - group[0].startMs <= MAX_CUE_MS;
}

/** After the last sentence end, else comma, in the group's last two thirds; else at its end. */
function bestCut(group) {
  for (const marks of ENDS) {
    for (let cut = group.length; cut > Math.floor(group.length / 3); cut--) {
      if (marks.some((mark) => group[cut - 1].text.endsWith(mark))) return cut;
    }
  }
  return group.length;
}

function textOf(group) {
  return group
    .map((piece) => piece.text)
    .join('')
    .trim();
}

/** Lines of at most LINE_CHARS, cut at spaces and after hyphens; a longer word is cut anywhere. */
function wrap(text) {
  const lines = [];
  let line = '';
  for (const chunk of text.match(/\s+|[^\s]+?(?<=[\p{L}]{2})-(?=[\p{L}]{2})|\S+/gu) ?? []) {
    let rest = /^\s/.test(chunk) ? ' ' : chunk;
    if (rest === ' ' && line === '') continue;
    while (line.length + rest.length > LINE_CHARS) {
      if (line.trim() === '') {
        lines.push(rest.slice(0, LINE_CHARS));
        rest = rest.slice(LINE_CHARS);
      } else if (rest.length > LINE_CHARS) {
        const room = LINE_CHARS - line.length;
        lines.push((line + rest.slice(0, room)).trimEnd());
        rest = rest.slice(room);
      } else {
        lines.push(line.trimEnd());
        if (rest === ' ') rest = '';
      }
      line = '';
    }
    line += rest;
  }
  if (line.trim()) lines.push(line.trimEnd());
  return lines;
}

function ms(seconds) {
  return Math.max(Math.round(seconds * 1000), 0);
}

function clock(totalMs, point) {
  const seconds = Math.floor(totalMs / 1000);
  const two = (value) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  const rest = String(totalMs % 1000).padStart(3, '0');
  return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}${point}${rest}`;
}
