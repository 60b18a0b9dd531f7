// @ts-check
/** The dialog that edits a rule, and tries it on the history. */

import { createElement, getElement } from '../common/dom.js';
import { timeText } from '../common/format.js';
import { HttpError, postJson, putJson } from '../common/http.js';
import { gettext, ngettext } from '../common/i18n.js';
import { firingItem } from './firing_list.js';
import { dayText } from './rule_list.js';
import { DAYS, DEFAULTS, readDryRun } from './rules_api.js';

/** @typedef {import('./rules_api.js').DryRun} DryRun */
/** @typedef {import('./rules_api.js').RuleSettings} RuleSettings */

const LISTED = 10;
const DRY_RUN_TIMEOUT_MS = 120_000;
const TEXTS = /** @type {const} */ (['any', 'all', 'none', 'feeds']);

export class RuleEditor {
  #dialog = getElement('editor', HTMLDialogElement);
  #form = getElement('rule', HTMLFormElement);
  #heading = getElement('editor-heading');
  #name = getElement('name', HTMLInputElement);
  #lists = TEXTS.map((id) => /** @type {const} */ ([id, getElement(id, HTMLInputElement)]));
  #lookIn = getElement('look-in', HTMLSelectElement);
  #confidence = getElement('confidence', HTMLInputElement);
  #hours = getElement('hours', HTMLInputElement);
  #present = getElement('present', HTMLInputElement);
  #absent = getElement('absent', HTMLInputElement);
  #coolDown = getElement('cool-down', HTMLInputElement);
  #message = getElement('message', HTMLInputElement);
  #enabled = getElement('enabled', HTMLInputElement);
  #try = getElement('try', HTMLButtonElement);
  #save = getElement('save', HTMLButtonElement);
  #problem = getElement('editor-problem');
  #result = getElement('dry-run');
  #days;
  #targets;
  #titleOf;

  /**
   * @param {(feed: string) => string} titleOf  The title of a feed.
   * @param {() => void} onSaved
   */
  constructor(titleOf, onSaved) {
    this.#titleOf = titleOf;
    this.#days = DAYS.map((day) => {
      const box = createElement('input', '');
      box.type = 'checkbox';
      box.value = day;
      getElement('days').append(createElement('label', 'toggle', box, ` ${dayText(day)}`));
      return box;
    });
    this.#targets = [...this.#form.querySelectorAll('[data-target]')].filter(
      (box) => box instanceof HTMLInputElement,
    );
    getElement('cancel').addEventListener('click', () => this.#dialog.close());
    this.#try.addEventListener('click', () => this.#run(() => this.#tryOut()));
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#run(async () => {
        await putJson(`api/rules/${encodeURIComponent(this.#name.value)}`, this.#settings());
        this.#dialog.close();
        onSaved();
      });
    });
  }

  /** @param {string[]} names  Of the feeds, which a rule may name. @param {boolean} canTry */
  prepare(names, canTry) {
    this.#try.hidden = !canTry;
    const list = names.join(', ');
    getElement('about-feeds').textContent =
      list === ''
        ? gettext('Names, with commas between them; empty for all')
        : gettext('Names, with commas between them; empty for all: {names}', { names: list });
  }

  /**
   * @param {string} name  Empty for a new rule.
   * @param {RuleSettings} settings
   */
  open(name, settings = DEFAULTS) {
    this.#heading.textContent =
      name === '' ? gettext('Add a rule') : gettext('Edit {name}', { name });
    this.#name.value = name;
    this.#name.readOnly = name !== '';
    for (const [key, field] of this.#lists) field.value = settings[key].join(', ');
    this.#lookIn.value = settings.look_in;
    this.#confidence.value = String(Math.round(1e4 * settings.confidence) / 100);
    this.#hours.value = settings.hours;
    this.#present.value = String(settings.present_s);
    this.#absent.value = String(settings.absent_s);
    this.#coolDown.value = String(settings.cool_down_s);
    this.#message.value = settings.message;
    this.#enabled.checked = settings.enabled;
    for (const box of this.#days) box.checked = settings.days.includes(box.value);
    for (const box of this.#targets) box.checked = settings.targets.includes(box.value);
    this.#problem.textContent = '';
    this.#result.replaceChildren();
    this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
  }

  /** @returns {RuleSettings}  As the form has them. */
  #settings() {
    const chosen = (/** @type {HTMLInputElement[]} */ boxes) =>
      boxes.filter(({ checked }) => checked).map(({ value }) => value);
    const lists = Object.fromEntries(
      this.#lists.map(([key, field]) => [key, itemsOf(field.value)]),
    );
    return {
      ...DEFAULTS,
      ...lists,
      enabled: this.#enabled.checked,
      look_in: this.#lookIn.value,
      confidence: Number(this.#confidence.value) / 100,
      present_s: Number(this.#present.value),
      absent_s: Number(this.#absent.value),
      cool_down_s: Number(this.#coolDown.value),
      hours: this.#hours.value.trim(),
      days: chosen(this.#days),
      message: this.#message.value,
      targets: chosen(this.#targets),
    };
  }

  /** @param {() => Promise<void>} work */
  async #run(work) {
    this.#problem.textContent = '';
    this.#try.disabled = this.#save.disabled = true;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
      this.#problem.replaceChildren(error.node);
    } finally {
      this.#try.disabled = this.#save.disabled = false;
    }
  }

  async #tryOut() {
    this.#result.textContent = gettext('Reading the history…');
    try {
      const name = this.#name.validity.valid && this.#name.value !== '' ? this.#name.value : 'rule';
      const body = { name, settings: this.#settings() };
      this.#show(readDryRun(await postJson('api/dry-run', body, DRY_RUN_TIMEOUT_MS)));
    } catch (error) {
      this.#result.replaceChildren();
      throw error;
    }
  }

  /** @param {DryRun} found */
  #show({ count, firings, suppressed, until }) {
    const lines = [
      count === 0
        ? gettext('It would not have fired in the last 24 hours.')
        : ngettext(
            'It would have fired {count} time in the last 24 hours:',
            'It would have fired {count} times in the last 24 hours:',
            count,
          ),
    ];
    const list = createElement('ol', '');
    for (const firing of firings.slice(0, LISTED)) {
      list.append(firingItem(firing, this.#titleOf(firing.feed)));
    }
    const notes = [];
    if (count > LISTED) notes.push(gettext('These are the first ones.'));
    if (suppressed > 0) {
      notes.push(
        ngettext(
          '{count} time it would have waited for its cool-down.',
          '{count} times it would have waited for its cool-down.',
          suppressed,
        ),
      );
    }
    if (until)
      notes.push(
        gettext('There is too much history; read until {time}.', { time: timeText(until) }),
      );
    this.#result.replaceChildren(
      ...lines.map((line) => createElement('p', '', line)),
      list,
      createElement('p', 'about', notes.join(' ')),
    );
  }
}

/** @param {string} text @returns {string[]}  What is between its commas. */
function itemsOf(text) {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
