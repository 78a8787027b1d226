/** What went wrong, in one sentence with its remedy, for people who use the page. */

const SENTENCES = {
  permission_denied:
    'This page may not use the microphone: allow it beside the address, then press Start, or open a file instead.',
  no_device: 'No microphone was found: plug one in or choose another under Settings, or open a file instead.',
  device_busy: 'The microphone cannot be opened: close the program that uses it, then press Start again.',
  device_gone: 'The microphone was unplugged: plug it in again, then press Start; what was said before is below.',
  insecure_origin:
    'Browsers give the microphone to secure pages only: open this one by https, or at http://localhost; files work.',
  bad_file: 'This browser cannot read the file: convert it to WAV, MP3, FLAC or Ogg, then open it again.',
  overloaded: 'The server is full: try again in a few seconds.',
  warming_up: 'The server is still loading its model: press Start again in a few seconds.',
  draining: 'The server is shutting down: press Start again when it is back.',
  connection_failed: 'The server does not answer: start it with “cohear serve”, then press Start again.',
  connection_lost: 'The server is gone: start it again, then press Start; what became text is kept below.',
  timeout: 'The server did not answer in time: press Start again, or see whether it is overloaded.',
  token_failed: 'This server asks for a key: reload the page to enter one.',
};

/**
 * @param {{code?: string, message: string, remedy?: string, retryAfterS?: number | null}} fault
 * @returns {string} one sentence
 */
export function sentence(fault) {
  if (fault.code === 'overloaded' && fault.retryAfterS) {
    return `The server is full: try again in ${Math.ceil(fault.retryAfterS)} s.`;
  }
  const known = SENTENCES[fault.code];
  if (known) return known;
  const message = fault.message.replace(/[.:]$/, '');
  return fault.remedy ? `${message}: ${fault.remedy}.` : `${message}.`;
}

/** Places that are named before the others are only counted. */
const PLACES = 3;

/**
 * @param {{start_s: number, end_s: number}[]} losses sound that has no text
 * @param {(seconds: number) => string} stamp a place as people read it
 * @returns {string} one sentence
 */
export function lossSentence(losses, stamp) {
  const seconds = losses.reduce((sum, { start_s, end_s }) => sum + end_s - start_s, 0);
  const places = losses.slice(0, PLACES).map(({ start_s }) => stamp(start_s));
  const more = losses.length > PLACES ? ` and ${losses.length - PLACES} more places` : '';
  return `${seconds.toFixed(1)} s of sound at ${places.join(', ')}${more} were lost: they have no text.`;
}

/** States of a stream in words. */
export const STATES = {
  idle: 'Ready',
  loading: 'Waiting for the server',
  connecting: 'Connecting',
  live: 'Listening',
  reconnecting: 'Reconnecting: what you say is kept for a minute',
  stopping: 'Finishing the last words',
  failed: 'Stopped',
};
