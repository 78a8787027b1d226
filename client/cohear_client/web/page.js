/** The page: what is pressed, dropped and said, joined to a recording and shown. Parts do the work; this wires them. */
import { Access } from './access.js';
import { backoffMs, wait } from './backoff.js';
import { Chart } from './chart.js';
import { Choices } from './choices.js';
import { save } from './downloads.js';
import { askForKey } from './key-dialog.js';
import { Latency } from './latency.js';
import { Meter } from './meter.js';
import { lossSentence, sentence, STATES } from './notices.js';
import { Recording } from './recording.js';
import { Transcript } from './transcript.js';
import { stamp, TranscriptView } from './view.js';

/** How often figures and chart are drawn anew, in ms. */
const FIGURES_MS = 1000;

const part = (id) => document.getElementById(id);

const access = new Access(askForKey);
const transcript = new Transcript();
const latency = new Latency();
const view = new TranscriptView({ list: part('transcript'), scroller: part('scroller'), toNewest: part('to-newest') });
const meter = new Meter(part('meter'));
const chart = new Chart(part('chart'));
const choices = new Choices(
  {
    device: part('device'),
    language: part('language'),
    model: part('model'),
    translate: part('translate'),
    speed: part('speed'),
  },
  { chosen: part('chosen'), modelHint: part('model-hint'), translateRow: part('translate-row'), about: part('about') },
);

/** @type {Recording | null} */
let recording = null;
let figuresDueMs = 0;
let secondsShown = -1;

// --- a recording, from start to the last final ---

const hooks = {
  onState: (state) => {
    if (state !== 'done') show(state);
  },
  onSound: ({ level, seconds, sentAfterMs }) => {
    const now = performance.now();
    meter.add(level, now);
    transcript.reach(seconds);
    if (sentAfterMs !== null) latency.addSend(sentAfterMs);
    if (Math.floor(seconds) !== secondsShown) showElapsed(seconds);
    if (now >= figuresDueMs) showFigures(now);
  },
  onEvent: (event, type) => {
    if (type === 'restarted') return transcript.restart();
    if (type === 'error') return notify(event);
    if (type === 'stats') latency.addStats(event, performance.now());
    if (type === 'partial' || type === 'final') latency.addEvent(event, performance.now());
    const { changed, removed } = transcript.add(event);
    view.remove(removed);
    if (changed) view.show(changed);
    if (type === 'final' && changed) say(changed.text);
    showWhatThereIs();
  },
};

/** @param {(recording: Recording) => Promise<void>} source */
async function record(source) {
  if (recording) return;
  notify(null);
  recording = new Recording({ start: choices.start, token: access.token }, hooks);
  transcript.beginStream();
  latency.clear();
  show('connecting');
  try {
    await source(recording);
    show('idle');
  } catch (fault) {
    show(fault.code === 'aborted' ? 'idle' : 'failed');
    if (fault.code !== 'aborted') notify(fault);
  }
  showDropped();
  recording = null;
  view.remove(transcript.endStream());
  meter.clear();
  showFigures(performance.now());
  showRunning();
  showWhatThereIs();
}

function startOrStop() {
  if (!recording) {
    record((run) => run.fromMicrophone(choices.deviceId));
    return;
  }
  recording.stop();
  show('stopping');
}

function openFile(file) {
  if (file) record((run) => run.fromFile(file, choices.speed));
}

// --- what is shown ---

function show(state) {
  document.body.dataset.state = state;
  if (part('state').textContent !== STATES[state]) part('state').textContent = STATES[state];
  showRunning();
  if (state === 'live') choices.showDevices();
}

function showRunning() {
  const running = recording !== null;
  document.body.dataset.running = part('start').dataset.running = String(running);
  part('start-label').textContent = running ? 'Stop' : 'Start';
  part('elapsed').hidden = !running;
  if (!running) part('elapsed').textContent = '';
  part('start').disabled = document.body.dataset.state === 'stopping';
}

function showWhatThereIs() {
  const nothing = transcript.segments.length === 0;
  part('empty').hidden = !nothing;
  part('legend').hidden = nothing;
  const noFinal = transcript.finals.length === 0;
  for (const id of ['copy', 'download-open', 'clear']) part(id).disabled = noFinal;
}

function showElapsed(seconds) {
  secondsShown = Math.floor(seconds);
  part('elapsed').textContent = stamp(seconds, 0);
}

function showFigures(nowMs) {
  figuresDueMs = nowMs + FIGURES_MS;
  const figures = latency.summary();
  part('latency').textContent = figures.last === null ? '' : written(figures.median);
  part('panel-open').classList.toggle('has-figure', figures.last !== null);
  part('panel-open').ariaLabel = `Latency ${part('latency').textContent}`;
  showDropped();
  if (!chart.visible) return;
  for (const [name, value] of Object.entries(figures)) {
    part(`figure-${name}`).textContent = written(value);
    part(`figure-${name}`).dataset.ms = value === null ? '' : String(value);
  }
  chart.draw(latency, nowMs);
}

function written(ms) {
  if (ms === null) return '–';
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function showDropped() {
  const losses = recording?.losses ?? [];
  if (losses.length === 0) return;
  part('dropped').hidden = false;
  part('dropped').textContent = lossSentence(losses, (place_s) => stamp(transcript.begun_s + place_s, 0));
}

/** @param {{message: string} | null} fault */
function notify(fault) {
  part('notice').hidden = fault === null;
  part('notice-text').textContent = fault ? sentence(fault) : '';
  if (fault === null) part('dropped').hidden = true;
}

/** Finished text for screen readers; partials would be read over and over. */
function say(text) {
  const line = document.createElement('p');
  line.textContent = text;
  part('spoken').append(line);
  while (part('spoken').childElementCount > 3) part('spoken').firstElementChild.remove();
}

// --- what can be done with it ---

async function copy() {
  const label = part('copy-label');
  try {
    await navigator.clipboard.writeText(transcript.finals.map((segment) => segment.text).join('\n'));
    label.textContent = 'Copied';
  } catch {
    notify({ message: 'This browser does not let the page copy', remedy: 'use Download, or mark the text' });
  }
  setTimeout(() => (label.textContent = 'Copy'), 1500);
}

function clear() {
  transcript.clear();
  view.clear();
  part('spoken').replaceChildren();
  showWhatThereIs();
}

function download({ target }) {
  const format = target.closest('[data-format]')?.dataset.format;
  if (!format) return;
  const now = new Date();
  const day = now.toLocaleDateString('sv'); // 2026-01-31
  save(transcript, format, `cohear ${day} ${now.toTimeString().slice(0, 5).replace(':', '.')}`);
  part('downloads').hidePopover();
}

// --- events of the page ---

function listen() {
  part('start').addEventListener('click', startOrStop);
  for (const id of ['open', 'open-too']) part(id).addEventListener('click', () => part('file').click());
  part('file').addEventListener('change', ({ target }) => {
    part('settings').hidePopover();
    openFile(target.files[0]);
    target.value = '';
  });
  part('copy').addEventListener('click', copy);
  part('clear').addEventListener('click', clear);
  part('downloads').addEventListener('click', download);
  part('notice-close').addEventListener('click', () => notify(null));
  part('panel-open').addEventListener('click', togglePanel);
  document.addEventListener('keydown', onKey);
  listenForDrops();
  const dock = document.querySelector('.dock');
  new ResizeObserver(() => {
    document.documentElement.style.setProperty('--dock', `${dock.offsetHeight}px`);
  }).observe(dock);
}

function togglePanel() {
  const open = part('panel').hidden;
  part('panel').hidden = !open;
  part('panel-open').setAttribute('aria-expanded', String(open));
  requestAnimationFrame(() => showFigures(performance.now())); // once the chart has its size
}

function onKey(event) {
  const free = [document.body, part('scroller')].includes(document.activeElement);
  if (event.code === 'Space' && free && !event.repeat && !part('start').disabled) {
    event.preventDefault();
    startOrStop();
  }
  if (event.key === 's' && (event.ctrlKey || event.metaKey) && !part('download-open').disabled) {
    event.preventDefault();
    part('downloads').togglePopover();
  }
}

function listenForDrops() {
  const isFile = (event) => event.dataTransfer?.types.includes('Files');
  document.addEventListener('dragover', (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    part('drop').hidden = recording !== null;
  });
  document.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) part('drop').hidden = true;
  });
  document.addEventListener('drop', (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    part('drop').hidden = true;
    openFile(event.dataTransfer.files[0]);
  });
}

/**
 * Asks until the server answers: the page may be there before the model is.
 * @returns {Promise<boolean>} whether it lets us in
 */
async function greet() {
  for (const waitMs of backoffMs()) {
    try {
      const answer = await access.fetch('v1/info');
      if (answer.ok) {
        choices.show(await answer.json());
        return true;
      }
    } catch (fault) {
      if (fault.code === 'no_key') {
        notify(fault);
        return false;
      }
      notify({ code: 'connection_failed', message: '' });
    }
    await wait(waitMs);
  }
}

async function begin() {
  listen();
  show('loading');
  showWhatThereIs();
  const welcome = await greet();
  if (!recording) {
    if (welcome) notify(null);
    show(welcome ? 'idle' : 'failed');
  }
  await choices.showDevices();
}

begin();
