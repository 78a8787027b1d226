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

/** States of a stream in words. */
export const STATES = {
  idle: 'Ready',
  loading: 'Waiting for the server',
  connecting: 'Connecting',
  live: 'Listening',
  reconnecting: 'Reconnecting: nothing you say is lost',
  stopping: 'Finishing the last words',
  failed: 'Stopped',
};
