/** What went wrong, under a stable name, with the next step. The family of the Python client, in one class. */
export class CohearError extends Error {
  /**
   * @param {string} code
   * @param {string} message what happened
   * @param {string} [remedy] what to do about it
   * @param {number | null} [retryAfterS] seconds, where there is no room now and later there may be
   */
  constructor(code, message, remedy = '', retryAfterS = null) {
    super(message);
    this.name = 'CohearError';
    this.code = code;
    this.remedy = remedy;
    this.retryAfterS = retryAfterS;
  }
}

/** The exception that an `error` message stands for. */
export function faultOf(message) {
  if (message.type !== 'error') {
    return new CohearError('not_cohear', `The server began with ${message.type}`, 'check the address');
  }
  return new CohearError(message.code, message.message, message.remedy, message.retry_after_s ?? null);
}

const PASSING = new Set(['connection_failed', 'timeout', 'token_failed', 'internal']);

/** Whether another try may go better. */
export function isPassing(fault) {
  return Boolean(fault.retryAfterS) || PASSING.has(fault.code);
}

/** Nothing answers at the server's address. */
export function noServer() {
  return new CohearError('connection_failed', 'The server does not answer', 'start it with `cohear serve`');
}

/** @param {number} code of the websocket's close; 0 where there was none */
export function lostFault(code) {
  const why = code ? ` (code ${code})` : '';
  return new CohearError('connection_lost', `The connection was lost and could not be mended${why}`, 'start again');
}

/** The warning that audio between two places of the stream will not become text. */
export function audioLost(start_s, end_s) {
  const message = `audio from ${start_s.toFixed(1)} s to ${end_s.toFixed(1)} s was lost`;
  return { type: 'warning', code: 'audio_lost', message, start_s, end_s };
}
