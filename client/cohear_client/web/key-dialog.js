/** Asks the user for a key, in a dialog over the page. What it is for is `access.js`'s part. */
import { CohearError } from './errors.js';

/**
 * @param {string} why what was wrong with the one before, as a sentence; empty at first
 * @returns {Promise<string>}
 * @throws {CohearError} `no_key`, where the user closes the dialog
 */
export function askForKey(why) {
  const dialog = document.createElement('dialog');
  dialog.className = 'key-dialog';
  dialog.setAttribute('aria-labelledby', 'key-title');
  const form = document.createElement('form');
  form.append(...contents(why));
  dialog.append(form);
  document.body.append(dialog);
  const answer = Promise.withResolvers();
  const field = form.querySelector('input');
  form.addEventListener('submit', (event) => {
    event.preventDefault(); // the policy lets no form go anywhere
    const key = field.value.trim();
    if (!key) return field.focus();
    answer.resolve(key);
    dialog.close();
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    answer.reject(new CohearError('no_key', 'This server asks for a key', 'reload the page to enter one'));
  });
  dialog.showModal();
  field.focus();
  return answer.promise;
}

function contents(why) {
  const title = element('h2', { id: 'key-title', textContent: 'This server asks for a key' });
  const hint = element('p', {
    className: 'hint',
    id: 'key-hint',
    textContent: 'Whoever runs it has one for you. This tab remembers it until it is closed.',
  });
  const label = element('label', { htmlFor: 'key', textContent: 'Key' });
  const field = element('input', { id: 'key', type: 'password', autocomplete: 'off', spellcheck: false });
  field.setAttribute('aria-describedby', why ? 'key-wrong' : 'key-hint');
  const wrong = element('p', { className: 'wrong', id: 'key-wrong', role: 'alert', textContent: why, hidden: !why });
  field.setAttribute('aria-invalid', String(Boolean(why)));
  return [title, hint, label, field, wrong, element('button', { className: 'confirm', textContent: 'Continue' })];
}

function element(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
