/** Transcripts as files: txt, srt, vtt and json, in the shapes that `cohear transcribe` writes. */
import { srt, vtt } from './subtitles.js';
import { glue } from './transcript.js';

/** One segment a line. */
function txt(transcript) {
  return transcript.finals.map((segment) => segment.text + '\n').join('');
}

/** `text`, `language`, and `segments` with their words; times in seconds. */
function json(transcript) {
  const whole = {
    text: transcript.text,
    language: transcript.language,
    segments: transcript.finals.map((segment, id) => ({
      id,
      start: rounded(segment.start_s, 3),
      end: rounded(segment.end_s, 3),
      text: glue(segment.language) + segment.text,
      confidence: rounded(segment.confidence, 4),
      words: segment.words.map((word) => ({
        word: glue(segment.language) + word.text,
        start: rounded(word.start_s, 3),
        end: rounded(word.end_s, 3),
        probability: rounded(word.confidence, 4),
      })),
    })),
  };
  return JSON.stringify(whole, null, 2) + '\n';
}

/** Format -> [media type, writer]. */
export const FORMATS = {
  txt: ['text/plain', txt],
  srt: ['application/x-subrip', (transcript) => srt(transcript.finals)],
  vtt: ['text/vtt', (transcript) => vtt(transcript.finals)],
  json: ['application/json', json],
};

/**
 * Hands a file to the browser's downloads.
 * @param {import('./transcript.js').Transcript} transcript
 * @param {'txt' | 'srt' | 'vtt' | 'json'} format
 * @param {string} stem of the file's name
 */
export function save(transcript, format, stem) {
  const [type, write] = FORMATS[format];
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([write(transcript)], { type: `${type};charset=utf-8` }));
  link.download = `${stem}.${format}`;
  link.click();
  // the browser has taken the address up when the click is over; freeing it at once would race with that
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function rounded(value, digits) {
  return Number(value.toFixed(digits));
}
