// @ts-check
/** The state that all can see: on the root element, in the title, beside the name. */

/** @typedef {'idle' | 'connecting' | 'live' | 'paused' | 'reconnecting' | 'problem'} State */
/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {Exclude<Input['kind'], 'feed'>} OwnKind */
/** @typedef {import('./problems.js').Problem} Problem */
/** @typedef {import('./protocol.js').Captioner} Captioner */

/** @type {Record<State, string>} */
const TEXTS = {
  idle: 'Ready',
  connecting: 'Connecting',
  live: 'Live',
  paused: 'Captions paused',
  reconnecting: 'Reconnecting',
  problem: 'Stopped',
};

const root = document.documentElement;

export class PageState {
  #parts;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.line
   * @param {HTMLElement} parts.stop  The button that stops.
   * @param {Record<OwnKind, HTMLElement>} parts.sources  The buttons that start.
   */
  constructor(parts) {
    this.#parts = parts;
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
    const { line, stop, sources } = this.#parts;
    const source = state === 'idle' ? undefined : input?.kind;
    root.dataset.state = state;
    setData('problem', problem?.code);
    setData('source', source);
    setData('captioner', this.isLive ? captioner.state : undefined);
    const live = source === 'feed' ? 'Watching' : 'Live';
    const text = state === 'live' ? `${live}: ${input?.label}` : TEXTS[state];
    if (line.textContent !== text) line.textContent = text;
    const title = state === 'live' && source === 'feed' ? input?.label : TEXTS[state];
    document.title = state === 'idle' ? 'Sightline' : `${title} · Sightline`;
    stop.textContent = state === 'problem' ? 'Close' : 'Stop';
    for (const [kind, button] of Object.entries(sources)) {
      if (kind === source) button.setAttribute('aria-current', 'true');
      else button.removeAttribute('aria-current');
    }
  }
}

/**
 * @param {string} name  Of a data attribute of the root element.
 * @param {string | undefined} value  None takes the attribute away.
 */
function setData(name, value) {
  if (value === undefined) delete root.dataset[name];
  else root.dataset[name] = value;
}
