/** The operator's view: asks for the server's status as often as the server measures it, and shows the answer. */
import { Access } from './access.js';
import { wait } from './backoff.js';
import { Charts, fill, made, NOTHING, orNothing, written } from './board.js';
import { askForKey } from './key-dialog.js';

/** A server that does not answer within this time is shown as one that does not answer, in ms. */
const PATIENCE_MS = 4_000;

/** Until the server has said how often it takes a reading, in ms. */
const EVERY_MS = 5_000;

const STATES = {
  ready: 'Ready',
  warming: 'Loading its model',
  draining: 'Shutting down',
  failed: 'The server does not answer; these figures are its last',
  locked: 'This server asks for a key: reload the page to enter one',
};

/** What clients get less of, on each rung of the ladder. */
const PARTIALS = {
  'half as often': 'partials come half as often',
  'smaller model': 'partials come half as often, from a smaller model',
  none: 'only finals come',
};

const part = (id) => document.getElementById(id);
const put = (id, text) => {
  part(id).textContent = text;
};

const access = new Access(askForKey);
const charts = new Charts(part('cards'));

function show(status) {
  const state = status.state.split(' ')[0];
  const hushed = state === 'ready' && status.partials !== 'usual';
  tell(hushed ? 'hushed' : state, hushed ? `At its limit: ${PARTIALS[status.partials]}` : STATES[state]);
  showNow(status);
  showPast(status);
  charts.show(status.history);
}

function tell(state, text = STATES[state]) {
  document.body.dataset.state = state;
  if (part('state').textContent !== text) put('state', text); // read aloud when it changes, and not else
}

function showNow({ streams, last_minute: minute, cache }) {
  put('streams', String(streams.live));
  const room = streams.capacity < streams.limit ? `about ${streams.capacity}` : streams.limit;
  put('streams-aside', `of ${room}${streams.detached ? `, ${streams.detached} away` : ''}`);
  gauge('streams-gauge', streams.live / Math.max(1, streams.capacity));
  latency('first', minute.first_words_ms);
  latency('final', minute.final_ms);
  put('busy', written.share(minute.busy));
  put('busy-aside', `asked for ${written.share(minute.demand)}`);
  gauge('busy-gauge', minute.busy);
  put('queue', String(minute.queued_finals + minute.queued_partials));
  put('queue-aside', `finals ${minute.queued_finals}, partials ${minute.queued_partials}`);
  put('batch', orNothing(minute.batch_size, written.count));
  put('batch-aside', minute.batch_fill === null ? '' : `${written.share(minute.batch_fill)} of the most`);
  put('jitter', orNothing(minute.jitter_ms.p95, written.ms));
  put('jitter-aside', minute.jitter_ms.p50 === null ? '' : `median ${written.ms(minute.jitter_ms.p50)}`);
  part('cache-tile').hidden = cache === null;
  if (cache) {
    const asked = cache.hits + cache.misses;
    put('cache', asked ? written.share(cache.hits / asked) : NOTHING);
    put('cache-aside', `${cache.hits} of ${asked}`);
  }
}

function showPast({ recent, models, errors }) {
  put('received', written.seconds(recent.received_s));
  bad('shed', recent.shed_s, written.seconds(recent.shed_s));
  bad('refused', recent.refused, String(recent.refused));
  bad('errors-count', recent.errors, String(recent.errors));
  const shares = models.map(({ name, share, audio_s }) => [name, written.share(share), written.seconds(audio_s)]);
  fill(part('models'), part('models-none'), shares, 1);
  const kinds = ({ refused, fatal }) => (refused ? 'refused' : fatal ? 'ended its stream' : 'the stream went on');
  const often = (error) => (error.times > 1 ? `${kinds(error)}, ${error.times} times` : kinds(error));
  const rows = errors.slice(0, 20).map((error) => [clock(error.at_s), made('code', '', error.code), often(error)]);
  fill(part('errors'), part('errors-none'), rows);
}

function latency(id, { p50, p95, p99 }) {
  put(id, orNothing(p95, written.ms));
  put(`${id}-aside`, p50 === null ? 'nobody spoke' : `median ${written.ms(p50)}\n99 of 100: ${written.ms(p99)}`);
}

function bad(id, value, text) {
  put(id, text);
  part(id).dataset.bad = String(value > 0);
}

function gauge(id, share) {
  part(id).style.width = `${Math.min(100, 100 * share)}%`;
}

function clock(unixS) {
  const time = new Date(unixS * 1000);
  const today = time.toDateString() === new Date().toDateString();
  return today ? time.toLocaleTimeString() : time.toLocaleString();
}

/** One look at the server. @returns {Promise<number>} when to look again, in ms; 0: it does not let us */
async function look() {
  try {
    const answer = await access.fetch('v1/status', { timeoutMs: PATIENCE_MS });
    if (!answer.ok) throw new Error(String(answer.status));
    const status = await answer.json();
    show(status);
    return status.history.step_s * 1000;
  } catch (fault) {
    const locked = fault.code === 'no_key';
    tell(locked ? 'locked' : 'failed');
    return locked ? 0 : EVERY_MS;
  }
}

async function watch() {
  for (;;) {
    const everyMs = await look();
    if (everyMs === 0) return;
    await wait(everyMs);
    if (document.hidden) await shown(); // nobody looks
  }
}

function shown() {
  return new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
}

watch();
