// @ts-check
/** The state of the page: in data attributes of the root element, the title and the header. */

import { setText } from '../common/dom.js';
import { gettext, pgettext } from '../common/i18n.js';

/** @typedef {'idle' | 'connecting' | 'live' | 'paused' | 'reconnecting' | 'problem'} State */
/** @typedef {import('../session/inputs.js').Input} Input */
/** @typedef {import('../session/messages.js').Captioner} Captioner */
/** @typedef {import('../session/problems.js').Problem} Problem */

/** @type {Record<State, string>} */
const STATE_LABELS = {
  idle: pgettext('state', 'Ready'),
  connecting: gettext('Connecting'),
  live: pgettext('state', 'Live'),
  paused: gettext('Captions paused'),
  reconnecting: gettext('Reconnecting'),
  problem: pgettext('state', 'Stopped'),
};

const root = document.documentElement;

export class PageState {
  #elements;

  /**
   * @param {object} elements
   * @param {HTMLElement} elements.label
   * @param {HTMLElement} elements.stop  The button that stops the session.
   * @param {Record<Exclude<Input['kind'], 'feed'>, HTMLElement>} elements.sources
   *   The buttons that start one.
   */
  constructor(elements) {
    this.#elements = elements;
  }

  get current() {
    return /** @type {State} */ (root.dataset.state);
  }

  get isLive() {
    return this.current === 'live' || this.current === 'paused';
  }

  /**
   * @param {State} state
   * @param {Input | null} input
   * @param {Captioner} captioner
   * @param {Problem} [problem]
   */
  set(state, input, captioner, problem) {
    const { label, stop, sources } = this.#elements;
    const source = state === 'idle' ? undefined : input?.kind;
    root.dataset.state = state;
    setData('problem', problem?.code);
    setData('source', source);
    setData('captioner', this.isLive ? captioner.state : undefined);
    setText(label, state === 'live' ? liveText(input) : STATE_LABELS[state]);
    const title = state === 'live' && source === 'feed' ? input?.label : STATE_LABELS[state];
    document.title = state === 'idle' ? 'Sightline' : `${title} · Sightline`;
    stop.textContent = state === 'problem' ? gettext('Close') : gettext('Stop');
    for (const [kind, button] of Object.entries(sources)) {
      if (kind === source) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
  }
}

/** @param {Input | null} input */
function liveText(input) {
  const values = { source: input?.label ?? '' };
  return input?.kind === 'feed'
    ? gettext('Watching: {source}', values)
    : gettext('Live: {source}', values);
}

/**
 * @param {string} name  Of a data attribute of the root element.
 * @param {string | undefined} value  Undefined removes the attribute.
 */
function setData(name, value) {
  if (value === undefined) delete root.dataset[name];
  else root.dataset[name] = value;
}
