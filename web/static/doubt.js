// @ts-check
/** How a caption is worded when it is too doubtful to be said as it is, and what it might be. */

/** @typedef {import('./protocol.js').Caption} Caption */

const HELD_BACK = 'Not sure enough of the whole: it may be…';
const NOTHING_HELD_BACK = 'Sure enough of this one.';

/**
 * @param {Pick<Caption, 'fallback' | 'text'>} caption
 * @returns {{lead: string, text: string}}  What owns up to a doubt, and what is left to say.
 */
export function worded({ fallback, text }) {
  if (fallback === null) return { lead: '', text };
  if (text === '') return { lead: 'Not sure.', text };
  return { lead: 'Not sure. Perhaps:', text: text[0].toLowerCase() + text.slice(1) };
}

/**
 * @param {Pick<Caption, 'fallback' | 'text'>} caption
 * @returns {string}  In one line: "A dog runs", or "Not sure. Perhaps: dog, ball".
 */
export function said(caption) {
  const { lead, text } = worded(caption);
  return `${lead} ${text}`.trim();
}

/**
 * @param {Pick<Caption, 'guess' | 'words'>} caption
 * @returns {string[]}  The words of the caption itself, even if it was too doubtful to be said;
 *   each once.
 */
export function ownWords({ guess, words }) {
  const all = guess === '' ? words.map(({ text }) => text) : guess.toLowerCase().split(/\s+/);
  return [...new Set(all)];
}

/** The caption that was too doubtful to be said, for whoever asks for it. */
export class GuessView {
  #parts;
  #guess = '';

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.row
   * @param {HTMLElement} parts.toggle  A button; stays opened or closed from caption to caption.
   * @param {HTMLElement} parts.guess
   */
  constructor(parts) {
    this.#parts = parts;
    parts.toggle.addEventListener('click', () => {
      this.#isOpen = !this.#isOpen;
    });
    parts.toggle.addEventListener('blur', () => this.show(this.#guess));
  }

  /** @param {string} guess  Empty if nothing is held back. */
  show(guess) {
    const { row, toggle, guess: line } = this.#parts;
    this.#guess = guess;
    // Whoever is on the button by keyboard must not lose their place to a caption that is sure.
    row.hidden = guess === '' && !toggle.matches(':focus-visible');
    toggle.textContent = guess === '' ? NOTHING_HELD_BACK : HELD_BACK;
    line.textContent = guess === '' ? '' : `“${guess}”`;
  }

  get #isOpen() {
    return !this.#parts.guess.hidden;
  }

  set #isOpen(open) {
    this.#parts.guess.hidden = !open;
    this.#parts.toggle.setAttribute('aria-expanded', String(open));
  }
}
