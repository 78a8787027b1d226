/**
 * A key of the server, where it asks for one. The user is asked once; the tab remembers the key until it is closed.
 * The key itself is sent only to /v1/token, which gives a token for a minute. All other requests use tokens.
 */
import { CohearError } from './errors.js';

const STORED_AS = 'cohear.key';
const TOKEN_PATH = 'v1/token';

/** After this part of its life a token is replaced. */
const FRESH = 0.75;

/** Characters that a header can hold; keys have no others. */
const SENDABLE = /^[\x21-\x7e]+$/;

const NOT_FOR_THIS = 'This key is not good for this: enter one that is, or ask whoever runs the server.';

const UNKNOWN = 'The server does not know this key, or it was revoked: check it, or ask for another one.';

export class Access {
  #ask;
  #key = stored();
  #token = '';
  #freshUntilMs = 0;
  #minting = null;

  /** @param {(why: string) => Promise<string>} ask gets a key from the user, telling why; rejects if there is none */
  constructor(ask) {
    this.#ask = ask;
  }

  /** For `connect` of cohear.js: a new token for each connection; undefined where the server asks for none. */
  get token() {
    return this.#key ? () => this.#mint() : undefined;
  }

  /**
   * As `fetch`, with what the server asks for.
   * @param {string} path
   * @param {{timeoutMs?: number}} [options]
   * @returns {Promise<Response>}
   * @throws {CohearError} `no_key`, where the user gave none
   */
  async fetch(path, { timeoutMs = 10_000 } = {}) {
    for (;;) {
      if (this.#key && performance.now() > this.#freshUntilMs) await this.#mint();
      const headers = this.#token ? { authorization: `Bearer ${this.#token}` } : {};
      const answer = await fetch(path, { headers, signal: AbortSignal.timeout(timeoutMs) });
      if (answer.status !== 401 && answer.status !== 403) return answer;
      this.#freshUntilMs = 0;
      if (answer.status === 403) this.#remember(await this.#ask(NOT_FOR_THIS));
      else if (!this.#key) this.#remember(await this.#ask(''));
    }
  }

  /** A new token; the user is asked for another key as long as the server refuses the one there is. */
  #mint() {
    this.#minting ??= this.#mintOne().finally(() => (this.#minting = null));
    return this.#minting;
  }

  async #mintOne() {
    for (;;) {
      if (!SENDABLE.test(this.#key)) {
        this.#remember(await this.#ask(UNKNOWN));
        continue;
      }
      const answer = await fetch(TOKEN_PATH, { method: 'POST', headers: { authorization: `Bearer ${this.#key}` } });
      if (answer.ok) {
        const { token, expires_in_s } = await answer.json();
        this.#token = token;
        this.#freshUntilMs = performance.now() + FRESH * expires_in_s * 1000;
        return token;
      }
      if (answer.status === 404) {
        this.#remember(''); // it asks for none any more
        return '';
      }
      if (answer.status !== 401) throw new CohearError('no_token', `The server gave no token (${answer.status})`);
      this.#remember('');
      this.#remember(await this.#ask(UNKNOWN));
    }
  }

  #remember(key) {
    this.#key = key;
    this.#token = '';
    this.#freshUntilMs = 0;
    try {
      if (key) sessionStorage.setItem(STORED_AS, key);
      else sessionStorage.removeItem(STORED_AS);
    } catch {
      // a browser that remembers nothing asks again when the page is loaded again
    }
  }
}

function stored() {
  try {
    return sessionStorage.getItem(STORED_AS) ?? '';
  } catch {
    return '';
  }
}
