/** The settings sheet: microphone, language, model, translation, and the pace of files. */
import { devices } from './capture.js';
import { load, store } from './settings.js';

export class Choices {
  #fields;
  #texts;
  #info = null;
  #saved = load();

  /**
   * @param {Record<string, any>} fields the controls `device`, `language`, `model`, `translate` and `speed`
   * @param {Record<string, HTMLElement>} texts `chosen`, `modelHint`, `translateRow` and `about`
   */
  constructor(fields, texts) {
    this.#fields = fields;
    this.#texts = texts;
    for (const field of Object.values(fields)) field.addEventListener('change', () => this.#changed());
    fields.speed.value = this.#saved.speed ?? '1';
    navigator.mediaDevices?.addEventListener('devicechange', () => this.showDevices());
  }

  get deviceId() {
    return this.#fields.device.value;
  }

  get speed() {
    return Number(this.#fields.speed.value);
  }

  /** Fields of `start`. */
  get start() {
    const { language, model, translate } = this.#fields;
    const task = this.#model?.translates && translate.checked ? 'translate' : 'transcribe';
    return { language: language.value || null, model: model.value || null, task };
  }

  /** @param {any} info the answer of /v1/info */
  show(info) {
    this.#info = info;
    fill(
      this.#fields.model,
      info.models.map(({ name }) => [name, name]),
      this.#saved.model ?? info.model,
    );
    this.#fields.model.disabled = info.models.length === 1;
    this.#texts.about.textContent = `Cohear ${info.version}`;
    this.#showModel();
    this.#showChosen();
  }

  /** Names of devices are known only once the browser was allowed to use one. */
  async showDevices() {
    const named = (await devices()).filter((device) => device.label && device.deviceId !== 'default');
    const options = named.map((device) => [device.deviceId, device.label]);
    fill(this.#fields.device, [['', 'System default'], ...options], this.#saved.device ?? '');
    this.#showChosen();
  }

  get #model() {
    return this.#info?.models.find(({ name }) => name === this.#fields.model.value);
  }

  #changed() {
    const { device, language, model, speed, translate } = this.#fields;
    this.#saved = {
      device: device.value,
      language: language.value,
      model: model.value,
      speed: speed.value,
      translate: String(translate.checked),
    };
    store(this.#saved);
    this.#showModel();
    this.#showChosen();
  }

  #showModel() {
    const model = this.#model;
    if (!model) return;
    const names = new Intl.DisplayNames(['en'], { type: 'language' });
    const languages = model.languages.map((code) => [code, names.of(code)]);
    languages.sort(([, a], [, b]) => a.localeCompare(b));
    const several = languages.length > 1;
    if (several) languages.unshift(['', 'Found out by itself']);
    fill(this.#fields.language, languages, this.#saved.language ?? '');
    this.#fields.language.disabled = !several;
    this.#texts.translateRow.hidden = !model.translates;
    this.#fields.translate.checked = this.#saved.translate === 'true';
    const windows = model.short_windows ? '' : ', slower: every window is padded to 30 s';
    this.#texts.modelHint.textContent = `${model.compute_type} on ${model.device}${windows}`;
  }

  #showChosen() {
    const { language, device } = this.#fields;
    const parts = [selected(language), device.value && selected(device)].filter(Boolean);
    this.#texts.chosen.textContent = parts.join(' · ') || 'Settings';
  }
}

function fill(select, options, value) {
  select.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  // what was chosen once may be gone: then the first
  select.value = options.some(([key]) => key === value) ? value : options[0][0];
}

function selected(select) {
  return select.selectedOptions[0]?.textContent ?? '';
}
