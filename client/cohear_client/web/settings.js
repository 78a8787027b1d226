/** What the user chose, remembered by the browser where it lets us. */

const KEY = 'cohear.settings';

/** @returns {Record<string, string>} */
export function load() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '{}');
  } catch {
    return {}; // no storage in this browser, or not ours: defaults do
  }
}

/** @param {Record<string, string>} settings */
export function store(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // a browser that remembers nothing asks again next time
  }
}
