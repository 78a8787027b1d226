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
 * server was restarted, and what was not heard is sent again (docs/protocol.md, "Resume"). Where audio comes from and
 * where text goes is the caller's part.
 */
import { backoffMs } from './backoff.js';
import { CohearError, faultOf, isPassing, lostFault } from './errors.js';
import { Ring } from './ring.js';
import { endpoint, openSocket } from './socket.js';
import { Timeline } from './timeline.js';

export { CohearError };

/** Audio kept to be sent again, in seconds (1.9 MB at 16 kHz). The oldest is forgotten, and counted if needed. */
const KEEP_S = 60;

/** How long a lost connection is tried again, unless the server holds sessions for longer. */
const GIVE_UP_MS = 30_000;

/** Beyond so much in the socket's buffer audio waits in our ring, where its loss would be counted: 2 s of audio. */
const MAX_BUFFERED_BYTES = 64_000;

/** Largest binary frame sent: 1 s. A replay is sent in these. */
const MAX_PIECE_SAMPLES = 16_000;

/** How often a full socket buffer is looked at; browsers tell no event. */
const DRAIN_MS = 25;

/** Keepalives come this often within the server's idle timeout. */
const KEEPALIVES = 3;

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
  #start;
  #token;
  #reconnect;
  #rateHz;
  #socket = null;
  #replay;
  #timeline;
  #sent = 0;
  #queue = [];
  #unanswered = new Map();
  #lastSeq = -1;
  #lastSegment = -1;
  #stopped = false;
  #moving = null;
  #fault = null;
  #ended = Promise.withResolvers();
  #drainTimer = 0;
  #keepaliveTimer = 0;
  #spokeMs = 0;

  /** @param {Options} options */
  constructor({ url, start = {}, token, reconnect = true }) {
    super();
    this.#url = endpoint(url);
    this.#start = { sample_rate: 16_000, ...start, encoding: 'pcm_s16le', channels: 1 };
    this.#token = token;
    this.#reconnect = reconnect;
    this.#rateHz = this.#start.sample_rate;
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
      this.#attach(await openSocket(this.#url, this.#start, this.#token), 0);
    } catch (fault) {
      this.#fail(fault);
      throw fault;
    }
  }

  /** @param {Int16Array} samples at the stream's rate; they are copied */
  send(samples) {
    if (this.#fault) throw this.#fault;
    if (this.#stopped) throw new CohearError('stopped', 'Audio came after stop', 'open a new stream');
    this.#replay.push(samples);
    this.#pump();
  }

  /**
   * Waits until little audio waits to be sent: for sources faster than real time.
   * @throws {CohearError} what ended the stream
   */
  async room() {
    while (this.unsentSamples > this.#rateHz && !this.#over) await wait(DRAIN_MS);
    if (this.#fault) throw this.#fault;
  }

  /**
   * Makes everything sent so far final.
   * @param {string} id
   * @returns {Promise<void>} when the server has answered: every final of it has come
   */
  finalize(id) {
    if (!this.#unanswered.has(id)) {
      const answer = Promise.withResolvers();
      answer.promise.catch(() => {});
      this.#unanswered.set(id, { answer, at: this.#replay.end });
      this.#say({ type: 'finalize', id });
    }
    return this.#unanswered.get(id).answer.promise;
  }

  /** @param {object} changes fields of `configure`: language, task, prompt, ... */
  configure(changes) {
    Object.assign(this.#start, changes); // for a session that has to be begun again
    this.#say({ type: 'configure', ...changes });
  }

  /**
   * No more audio: remaining finals follow.
   * @returns {Promise<any>} the server's `done`
   */
  stop() {
    if (!this.#stopped && !this.#over) {
      this.#stopped = true;
      this.#say({ type: 'stop' });
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

  #say(message) {
    this.#queue.push({ at: this.#replay.end, text: JSON.stringify(message) });
    this.#pump();
  }

  /** Sends what may be sent, in order: samples up to the next message, the message, and so on. */
  #pump() {
    while (this.#open && !this.#drainTimer) {
      this.#skipForgotten();
      const next = this.#queue[0];
      if (next && next.at <= this.#sent) {
        this.#socket.send(this.#queue.shift().text);
      } else if (this.#sent === this.#replay.end) {
        return;
      } else if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) {
        this.#drainTimer = setTimeout(() => this.#drain(), DRAIN_MS);
      } else {
        const to = Math.min(next?.at ?? this.#replay.end, this.#sent + MAX_PIECE_SAMPLES);
        this.#socket.send(this.#replay.read(this.#sent, to));
        this.#sent = to;
      }
      this.#spokeMs = performance.now();
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
    this.droppedSamples += to - from;
    const seconds = ((to - from) / this.#rateHz).toFixed(1);
    this.#emit('warning', { type: 'warning', code: 'audio_lost', message: `${seconds} s of audio were lost` });
  }

  /** @param {number} sample the place in the stream from which on the session wants audio */
  #attach({ socket, ready }, sample) {
    if (this.#over) return socket.close(1000); // left while it opened
    this.#socket = socket;
    this.ready = ready;
    this.#sent = sample;
    this.#queue = this.#openRequests();
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = ({ code }) => this.#lost(socket, code);
    clearInterval(this.#keepaliveTimer);
    const idleMs = ready.limits.idle_timeout_s * 1000;
    if (idleMs > 0) {
      this.#keepaliveTimer = setInterval(() => this.#keepAlive(idleMs / KEEPALIVES), idleMs / KEEPALIVES / 2);
    }
    this.#become('live');
    this.#emit('ready', ready);
    this.#pump();
  }

  /** What was asked and not answered is asked again on each connection. */
  #openRequests() {
    const asked = [...this.#unanswered].map(([id, { at }]) => ({ at, text: JSON.stringify({ type: 'finalize', id }) }));
    if (this.#stopped) asked.push({ at: this.#replay.end, text: JSON.stringify({ type: 'stop' }) });
    return asked;
  }

  #keepAlive(silentMs) {
    if (this.#open && performance.now() - this.#spokeMs >= silentMs) {
      this.#socket.send(JSON.stringify({ type: 'keepalive' }));
      this.#spokeMs = performance.now();
    }
  }

  #take(message) {
    if (message.type === 'error' && message.fatal) {
      this.#fault ??= faultOf(message); // finals of what was said before still follow
      return;
    }
    const event = this.#timeline.shifted(message);
    if ('seq' in event) {
      if (event.seq <= this.#lastSeq) return; // sent again by a server that could not know that it had come
      this.#lastSeq = event.seq;
      this.#lastSegment = Math.max(this.#lastSegment, event.segment_id);
    }
    if (event.type === 'final') this.#replay.forgetBefore(Math.min(this.#sent, Math.round(event.end_s * this.#rateHz)));
    if (event.type === 'closing') this.#moving = event;
    if (event.type === 'done') this.#done(event);
    else this.#emit(event.type, event);
    if (event.type === 'finalized') {
      this.#unanswered.get(event.id)?.answer.resolve();
      this.#unanswered.delete(event.id);
    }
  }

  #done(event) {
    const heard = this.#timeline.toStream(event.samples.received);
    // the server went away in order: all it took in is final, and the next session goes on from there
    const moved = this.#moving !== null && this.#reconnect && !(this.#stopped && heard >= this.#replay.end);
    if (this.#fault) {
      this.#fail(this.#fault);
    } else if (moved) {
      this.#replay.forgetBefore(heard);
      this.#mend(this.#moving.reconnect_after_ms);
    } else {
      this.#close();
      this.#become('done');
      this.#emit('done', event);
      this.#ended.resolve(event);
    }
  }

  #lost(socket, code) {
    if (socket !== this.#socket || this.state !== 'live') return;
    const fault = this.#fault ?? lostFault(code);
    const mendable = this.#reconnect && this.ready.limits.resume_window_s > 0;
    if (this.#fault || !mendable) this.#fail(fault);
    else this.#mend(0);
  }

  /** @param {number} afterMs where the server said when to come back; 0 where the connection was lost */
  async #mend(afterMs) {
    let fresh = afterMs > 0 || this.#moving !== null;
    this.#moving = null;
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
    const resume = { session_id, token, last_seq: this.#timeline.sessionSeq(this.#lastSeq) };
    const opened = await openSocket(this.#url, { ...this.#start, resume }, this.#token);
    this.#attach(opened, this.#timeline.rewind(opened.ready.next_sample));
  }

  /** The server no longer has the session: a new one, from the end of the last final on. */
  async #beginAgain() {
    const opened = await openSocket(this.#url, this.#start, this.#token);
    const begun = this.#replay.start;
    const from = { begun, seq: this.#lastSeq + 1, segments: this.#lastSegment + 1 };
    this.#timeline = new Timeline(this.#rateHz, from);
    this.#emit('restarted', {}); // segments that were not final are spoken again, under other numbers
    this.#attach(opened, begun);
  }

  #fail(fault) {
    if (this.#over) return;
    this.#fault ??= fault;
    this.#close();
    this.#become('failed');
    for (const { answer } of this.#unanswered.values()) answer.reject(this.#fault);
    this.#ended.reject(this.#fault);
  }

  #close() {
    clearTimeout(this.#drainTimer);
    clearInterval(this.#keepaliveTimer);
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

function wait(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
