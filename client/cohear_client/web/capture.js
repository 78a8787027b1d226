/**
 * The microphone, as frames of 16-bit mono at the rate that is wanted, with their level.
 *
 * The audio thread does the work (`worklet.js`); this opens the device, and names what can go wrong with it.
 */
import { CohearError, noServer } from './errors.js';

/** Short frames cost the page more, long ones come later. 32 ms are four blocks of the audio thread. */
const FRAME_MS = 32;

/** So many buffers go back to the audio thread at a time, because one by one would cost too much. */
const RETURNED = 10;

/**
 * What the browser does to the sound. Its noise suppression and echo cancellation are made for human ears in calls;
 * models hear more without them. Gain control helps quiet microphones.
 */
const PROCESSING = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };

/**
 * @typedef {object} Frame
 * @property {Int16Array} samples valid until the callback returns
 * @property {number} capturedMs when its first sample came in, in ms since the epoch
 * @property {number} level root mean square, 0..1
 * @property {number} lostSamples audio lost just before it, because the page was busy for seconds
 */

export class Microphone {
  #media;
  #context;
  #node;

  /**
   * @param {object} options
   * @param {string} [options.deviceId] as `devices` names it (default: the system's choice)
   * @param {number} [options.rateHz]
   * @param {(frame: Frame) => void} options.onFrame
   * @param {() => void} options.onEnded the device was unplugged
   * @returns {Promise<Microphone>}
   * @throws {CohearError} `insecure_origin`, `permission_denied`, `no_device`, `device_busy`, `no_audio`,
   *   `connection_failed`
   */
  static async open({ deviceId, rateHz = 16_000, onFrame, onEnded }) {
    const microphone = new Microphone();
    try {
      microphone.#media = await ask(deviceId);
      await microphone.#run(rateHz, onFrame);
    } catch (fault) {
      microphone.close();
      throw fault instanceof CohearError ? fault : named(fault);
    }
    microphone.#media.getAudioTracks()[0].onended = onEnded;
    return microphone;
  }

  /** What the device is called. */
  get label() {
    return this.#media.getAudioTracks()[0].label;
  }

  close() {
    this.#node?.port.postMessage(null);
    for (const track of this.#media?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this.#context?.close();
    this.#context = undefined;
  }

  async #run(rateHz, onFrame) {
    let source;
    try {
      this.#context = new AudioContext({ sampleRate: rateHz, latencyHint: 'interactive' });
      source = this.#context.createMediaStreamSource(this.#media);
    } catch {
      // not every browser joins a device to a context of another rate: take the device's, and resample
      await this.#context?.close();
      this.#context = new AudioContext({ latencyHint: 'interactive' });
      source = this.#context.createMediaStreamSource(this.#media);
    }
    await addWorklet(this.#context);
    const frameSamples = (FRAME_MS * rateHz) / 1000;
    this.#node = new AudioWorkletNode(this.#context, 'cohear-capture', { processorOptions: { rateHz, frameSamples } });
    let taken = [];
    this.#node.port.onmessage = ({ data: { buffer, ...frame } }) => {
      onFrame({ ...frame, samples: new Int16Array(buffer) });
      if (taken.push(buffer) < RETURNED) return;
      this.#node.port.postMessage(taken, taken);
      taken = [];
    };
    // it gives silence; only what leads to the output is certain to run
    source.connect(this.#node).connect(this.#context.destination);
    await this.#context.resume();
  }
}

/** Microphones that there are; names are empty until the browser was allowed to use one. */
export async function devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all.filter((device) => device.kind === 'audioinput');
}

async function ask(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CohearError('insecure_origin', 'Browsers give the microphone to secure pages only', 'use https');
  }
  const device = deviceId ? { deviceId: { exact: deviceId } } : {};
  return navigator.mediaDevices.getUserMedia({ audio: { ...PROCESSING, ...device } });
}

/** The module comes from the server, each time anew. */
async function addWorklet(context) {
  try {
    await context.audioWorklet.addModule(new URL('./worklet.js', import.meta.url));
  } catch {
    throw noServer();
  }
}

const FAULTS = {
  NotAllowedError: ['permission_denied', 'This page may not use the microphone'],
  SecurityError: ['permission_denied', 'This page may not use the microphone'],
  NotFoundError: ['no_device', 'There is no microphone'],
  OverconstrainedError: ['no_device', 'The chosen microphone is not there'],
  NotReadableError: ['device_busy', 'The microphone cannot be opened'],
  AbortError: ['device_busy', 'The microphone cannot be opened'],
};

function named(fault) {
  const [code, message] = FAULTS[fault.name] ?? ['no_audio', `The browser cannot capture audio: ${fault.message}`];
  return new CohearError(code, message);
}
