/**
 * Cohear's client for browsers: one live stream of 16-bit mono samples out, events in.
 *
 *     import { connect } from './cohear.js';
 *
 *     const stream = await connect({ url: 'https://cohear.example', start: { language: 'en' } });
 *     stream.addEventListener('partial', ({ detail }) => show(detail.stable, detail.volatile));
 *     stream.addEventListener('final', ({ detail }) => keep(detail.text));
 *     stream.send(samples);           // Int16Array, as they come
 *     await stream.stop();            // every final has come when this resolves
 *
 * Each message of the server is an event named for its `type`, with the message as `detail`; `state` tells of the
 * connection. A lost connection is mended: the session is resumed, or begun again after the last final where the
 * server was restarted, and what was not heard is sent again (docs/protocol.md, "Resume"). A minute of audio is kept
 * for that: sources faster than real time wait for `room`; of others the oldest is dropped, and a `warning` named
 * `audio_lost` tells its place (`start_s`, `end_s`). Where audio comes from and where text goes is the caller's part.
 */
import { backoffMs, wait } from './backoff.js';
import { audioLost, CohearError, faultOf, isPassing, lostFault } from './errors.js';
import { Life } from './life.js';
import { Requests } from './requests.js';
import { Ring } from './ring.js';
import { endpoint, openSocket } from './socket.js';
import { Timeline } from './timeline.js';

export { CohearError };

/** Audio kept to be sent again, in seconds (1.9 MB at 16 kHz). The oldest is forgotten, and counted if needed. */
const KEEP_S = 60;

/** For so much more `room` waits, in seconds. */
const ROOM_S = 1;

/** How long a lost connection is tried again, unless the server holds sessions for longer. */
const GIVE_UP_MS = 30_000;

/** Beyond so much in the socket's buffer audio waits in our ring, where its loss would be counted: 2 s of audio. */
const MAX_BUFFERED_BYTES = 64_000;

/** Largest binary frame sent: 1 s. A replay is sent in these. */
const MAX_PIECE_SAMPLES = 16_000;

/** How often a full socket buffer is looked at; browsers tell no event. */
const DRAIN_MS = 25;

/**
 * @typedef {object} Options
 * @property {string | URL} [url] of the server (default: where the page comes from); http becomes ws
 * @property {object} [start] fields of `start`: sample_rate, language, task, model, prompt, ...
 * @property {() => Promise<string>} [token] asked for each connection; what it gives is sent as a subprotocol
 * @property {boolean} [reconnect] whether a lost connection is mended (default: true)
 */

/**
 * Opens a stream.
 * @param {Options} [options]
 * @returns {Promise<Stream>}
 * @throws {CohearError}
 */
export async function connect(options = {}) {
  const stream = new Stream(options);
  await stream.open();
  return stream;
}

export class Stream extends EventTarget {
  #url;
  #token;
  #reconnect;
  #rateHz;
  #socket = null;
  #replay;
  #timeline;
  #requests;
  #sent = 0;
  #unanswered = new Map();
  #stopped = false;
  #closing = null;
  #fault = null;
  #ended = Promise.withResolvers();
  #drainTimer = 0;
  #life = null;

  /** @param {Options} options */
  constructor({ url, start = {}, token, reconnect = true }) {
    super();
    this.#url = endpoint(url);
    const options = { sample_rate: 16_000, ...start, encoding: 'pcm_s16le', channels: 1 };
    this.#token = token;
    this.#reconnect = reconnect;
    this.#rateHz = options.sample_rate;
    this.#requests = new Requests(options);
    this.#replay = new Ring(KEEP_S * this.#rateHz);
    this.#timeline = new Timeline(this.#rateHz);
    this.#ended.promise.catch(() => {}); // whoever waits for `ended` hears of it; nobody has to
    /** `connecting`, `live`, `reconnecting`, `done` or `failed`. */
    this.state = 'connecting';
    /** The server's last `ready`. */
    this.ready = null;
    /** Audio that no session will hear, because the connection was too slow or away for too long; in samples. */
    this.droppedSamples = 0;
  }

  /** Resolves with `done` when the stream ended in order; rejects with what ended it otherwise. */
  get ended() {
    return this.#ended.promise;
  }

  /** Audio that no socket has taken yet, in samples. */
  get unsentSamples() {
    return this.#replay.end - this.#sent;
  }

  /** Called once, by `connect`. */
  async open() {
    try {
      this.#attach(await openSocket(this.#url, this.#requests.start, this.#token), 0);
    } catch (fault) {
      this.#fail(fault);
      throw fault;
    }
  }

  /** @param {Int16Array} samples at the stream's rate; they are copied */
  send(samples) {
    this.#checkOpen();
    this.#replay.push(samples);
    this.#pump();
  }

  /**
   * Waits until another second may be sent and nothing that a new session had to hear is forgotten: for sources faster
   * than real time.
   * @throws {CohearError} what ended the stream
   */
  async room() {
    const most = (KEEP_S - ROOM_S) * this.#rateHz;
    while (this.#replay.end - this.#timeline.settled > most && !this.#over) await wait(DRAIN_MS);
    if (this.#fault) throw this.#fault;
  }

  /**
   * Makes everything sent so far final.
   * @param {string} id
   * @returns {Promise<void>} when the server has answered: every final of it has come
   */
  finalize(id) {
    if (!this.#unanswered.has(id)) {
      this.#checkOpen();
      const answer = Promise.withResolvers();
      answer.promise.catch(() => {});
      this.#unanswered.set(id, answer);
      this.#ask({ type: 'finalize', id });
    }
    return this.#unanswered.get(id).promise;
  }

  /** @param {object} changes fields of `configure`: language, task, prompt, ... */
  configure(changes) {
    this.#checkOpen();
    this.#ask({ type: 'configure', ...changes });
  }

  /**
   * No more audio: remaining finals follow.
   * @returns {Promise<any>} the server's `done`
   */
  stop() {
    if (!this.#stopped && !this.#over) {
      this.#stopped = true;
      this.#ask({ type: 'stop' });
    }
    return this.ended;
  }

  /** Leaves at once; what was not final is gone. */
  abort() {
    this.#fail(new CohearError('aborted', 'The stream was left', 'start again'));
  }

  /** Whether it takes no more audio because something went wrong; last finals may still come. */
  get failing() {
    return this.#fault !== null;
  }

  get #over() {
    return this.state === 'done' || this.state === 'failed';
  }

  /** Whether the socket takes anything: it may be closing before we hear of its close. */
  get #open() {
    return this.state === 'live' && !(this.#socket.readyState >= WebSocket.CLOSING);
  }

  #checkOpen() {
    if (this.#fault) throw this.#fault;
    if (this.#stopped || this.#over) {
      throw new CohearError('stopped', 'Nothing can be said after stop', 'open a new stream');
    }
  }

  #ask(message) {
    this.#requests.ask(this.#replay.end, message);
    this.#pump();
  }

  /** Sends what may be sent, in order: samples up to the next message, the message, and so on. */
  #pump() {
    while (this.#open && !this.#drainTimer) {
      this.#skipForgotten();
      if (this.#requests.nextAt <= this.#sent) {
        this.#socket.send(JSON.stringify(this.#requests.take()));
      } else if (this.#sent === this.#replay.end) {
        return;
      } else if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) {
        this.#drainTimer = setTimeout(() => this.#drain(), DRAIN_MS);
      } else {
        const to = Math.min(this.#requests.nextAt, this.#replay.end, this.#sent + MAX_PIECE_SAMPLES);
        this.#socket.send(this.#replay.read(this.#sent, to));
        this.#sent = to;
      }
      this.#life.spoke();
    }
  }

  #drain() {
    this.#drainTimer = 0;
    this.#pump();
  }

  /** What the ring forgot before it was sent is dropped: counted, told, and left out of the session's time. */
  #skipForgotten() {
    const from = this.#sent;
    const to = this.#replay.start;
    if (to <= from) return;
    this.#timeline.skip(from, to);
    this.#sent = to;
    this.#tellLost(from, to);
  }

  #tellLost(from, to) {
    this.droppedSamples += to - from;
    this.#emit('warning', audioLost(from / this.#rateHz, to / this.#rateHz));
  }

  /** @param {number} sample the place in the stream from which on the session wants audio */
  #attach({ socket, ready }, sample) {
    if (this.#over) return socket.close(1000); // left while it opened
    this.#socket = socket;
    this.ready = ready;
    this.#sent = sample;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(socket, code);
    this.#life?.end();
    this.#life = new Life(ready.limits.idle_timeout_s * 1000, {
      speak: () => this.#keepAlive(),
      lose: () => this.#lost(socket, 0),
    });
    this.#become('live');
    this.#emit('ready', ready);
    this.#pump();
  }

  #keepAlive() {
    if (!this.#open) return;
    this.#socket.send(JSON.stringify({ type: 'keepalive' }));
    this.#life.spoke();
  }

  #take(message) {
    this.#life.heard();
    if (message.type === 'error' && message.fatal) {
      this.#fault ??= faultOf(message); // finals of what was said before still follow
      return;
    }
    const event = this.#timeline.take(message);
    this.#settle();
    if (event === null || (event.type === 'finalized' && !this.#requests.answered(event.id))) return; // it came before
    if (event.type === 'closing') this.#closing = event;
    if (event.type === 'done') this.#done(event);
    else this.#emit(event.type, event);
    if (event.type === 'finalized') {
      this.#unanswered.get(event.id)?.resolve();
      this.#unanswered.delete(event.id);
    }
  }

  #settle() {
    const settled = Math.min(this.#sent, this.#timeline.settled);
    this.#replay.forgetBefore(settled);
    this.#requests.settle(settled);
  }

  #done(event) {
    const complete = this.#stopped && this.#timeline.settled >= this.#replay.end;
    if (this.#fault) {
      this.#fail(this.#fault);
    } else if (!complete && this.#mendable) {
      // a server that shuts down is done before it has all: what it took in is final, a new session hears the rest
      this.#mend({ fresh: true, afterMs: this.#closing?.reconnect_after_ms ?? backoffMs().next().value });
    } else {
      this.#close();
      this.#become('done');
      this.#emit('done', event);
      this.#ended.resolve(event);
    }
  }

  get #mendable() {
    return this.#reconnect && this.ready.limits.resume_window_s > 0;
  }

  #lost(socket, code) {
    if (socket !== this.#socket || this.state !== 'live') return;
    if (this.#fault || !this.#mendable) this.#fail(this.#fault ?? lostFault(code));
    else this.#mend({ fresh: false, afterMs: 0 });
  }

  /** @param {{fresh: boolean, afterMs: number}} way whether the session is gone, and how long to wait first */
  async #mend({ fresh, afterMs }) {
    this.#closing = null;
    this.#close();
    this.#become('reconnecting');
    const giveUpMs = performance.now() + Math.max(GIVE_UP_MS, this.ready.limits.resume_window_s * 1000);
    let pauseMs = afterMs;
    for (const nextMs of backoffMs()) {
      if (pauseMs > 0) await wait(pauseMs);
      if (this.#over) return;
      try {
        await (fresh ? this.#beginAgain() : this.#resume());
        return;
      } catch (fault) {
        if (fault.code === 'unknown_session') {
          fresh = true;
          pauseMs = 0;
          continue;
        }
        if (!isPassing(fault)) return this.#fail(fault);
        pauseMs = fault.retryAfterS ? fault.retryAfterS * 1000 : nextMs;
      }
      if (performance.now() > giveUpMs) return this.#fail(lostFault(0));
    }
  }

  async #resume() {
    const { session_id, token } = this.ready;
    const resume = { session_id, token, last_seq: this.#timeline.sessionSeq, lasting: this.#timeline.lasting };
    const opened = await openSocket(this.#url, { ...this.#requests.start, resume }, this.#token);
    const heard = this.#timeline.resume(opened.ready.next_sample);
    if (heard < this.#timeline.settled || heard > this.#replay.end) {
      opened.socket.close(1000);
      return this.#beginAgain(); // it lost its own place
    }
    this.#requests.resume(heard);
    this.#attach(opened, heard);
  }

  /** The server no longer has the session: a new one, from the end of the last final on. */
  async #beginAgain() {
    const opened = await openSocket(this.#url, this.#requests.start, this.#token);
    const { settled } = this.#timeline;
    const begun = Math.max(settled, this.#replay.start);
    this.#timeline.beginAgain(begun);
    this.#requests.renew();
    this.#emit('restarted', {}); // segments that were not final are spoken again, under other numbers
    if (begun > settled) this.#tellLost(settled, begun);
    this.#attach(opened, begun);
  }

  #fail(fault) {
    if (this.#over) return;
    this.#fault ??= fault;
    this.#close();
    const { settled } = this.#timeline;
    if (fault.code !== 'aborted' && settled < this.#replay.end) this.#tellLost(settled, this.#replay.end);
    this.#become('failed');
    for (const answer of this.#unanswered.values()) answer.reject(this.#fault);
    this.#ended.reject(this.#fault);
  }

  #close() {
    clearTimeout(this.#drainTimer);
    this.#life?.end();
    this.#drainTimer = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) socket.onmessage = socket.onclose = null;
    socket?.close(1000);
  }

  #become(state) {
    this.state = state;
    this.#emit('state', { state, fault: this.#fault });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
