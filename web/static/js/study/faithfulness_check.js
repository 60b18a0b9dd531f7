// @ts-check
/** Whether a word's map is true: what blanking its region does, against blanking elsewhere. */

import { percent } from './certainty.js';

/** @typedef {import('./protocol.js').Checked} Checked */

export class CheckView {
  #parts;
  /** @type {() => void} */
  #act = () => {};

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.sentence
   * @param {HTMLElement} parts.bars
   * @param {HTMLButtonElement} parts.button
   */
  constructor(parts) {
    this.#parts = parts;
    parts.button.addEventListener('click', () => this.#act());
  }

  /**
   * @param {string} sentence  Why there is no result, or not yet.
   * @param {string} [label]  Of the button that asks for one; none if it is empty.
   * @param {() => void} [act]
   */
  say(sentence, label = '', act = () => {}) {
    const { bars, button, ...parts } = this.#parts;
    parts.sentence.textContent = sentence;
    bars.replaceChildren();
    button.hidden = label === '';
    button.textContent = label;
    this.#act = act;
  }

  /** @param {string} word @param {Checked} checked */
  show(word, checked) {
    const { prob, blanked, random } = checked;
    this.say(checkText(word, checked));
    this.#parts.bars.replaceChildren(
      bar('as it is', prob),
      bar('region blanked', blanked),
      bar('random region', random[1], [random[0], random[2]]),
    );
  }
}

/** @param {string} word @param {Checked} checked */
export function checkText(word, { share, prob, blanked, random: [lowest, median, highest] }) {
  return (
    `With the top ${percent(share)} of the map blanked, “${word}” goes from ${percent(prob)} to ` +
    `${percent(blanked)}; with a random region of equal size: ${percent(median)} ` +
    `(${percent(lowest)} to ${percent(highest)}).`
  );
}

/**
 * @param {string} name
 * @param {number} share
 * @param {[number, number]} [range]
 */
function bar(name, share, range) {
  const row = document.createElement('div');
  const [label, track, value] = ['label', 'track', 'value'].map((part) => {
    const element = document.createElement('span');
    element.className = `bar-${part}`;
    return element;
  });
  label.textContent = name;
  value.textContent = percent(share);
  track.style.setProperty('--share', String(share));
  if (range) {
    track.dataset.range = '';
    track.style.setProperty('--lowest', String(range[0]));
    track.style.setProperty('--highest', String(range[1]));
  }
  row.append(label, track, value);
  return row;
}
