// @ts-check
/**
 * The example of the start page: a photograph with its caption, whose words show their heat maps in
 * turn. A word under the pointer or with the focus stays.
 */

import { createButton, englishText, moveFocus, setNodes, setTabStop } from '../common/dom.js';
import { getJson, HttpError } from '../common/http.js';
import { gettext } from '../common/i18n.js';
import { describeByMap } from '../heatmaps/map_location.js';
import { MapCanvas } from '../heatmaps/map_canvas.js';
import { readCaption, underline } from './caption.js';
import { labelWord, wordNodes } from './caption_text.js';

/** @typedef {import('./caption.js').Caption} Caption */

const TURN_MS = 2_200;
const FADE_MS = 350;
const REDUCED_MOTION = matchMedia('(prefers-reduced-motion: reduce)');

export class Example {
  #elements;
  #map;
  /** @type {Caption | null} */
  #caption = null;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  #index = -1;
  #isShown = false;
  #isLoading = false;
  #isHeld = false;
  #isPaused = false;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #turning;

  /**
   * @param {object} elements
   * @param {HTMLImageElement} elements.photograph
   * @param {HTMLCanvasElement} elements.map  Over the photograph.
   * @param {HTMLElement} elements.words      An empty toolbar.
   * @param {HTMLElement} elements.detail     About the word whose map is shown.
   * @param {HTMLButtonElement} elements.pause
   */
  constructor(elements) {
    this.#elements = elements;
    const { photograph, map, words, pause } = elements;
    this.#map = new MapCanvas(map, () => photograph);
    words.addEventListener('keydown', (event) => moveFocus(event, this.#buttons));
    words.addEventListener('pointerover', ({ target }) => this.#hold(target));
    words.addEventListener('focusin', ({ target }) => this.#hold(target));
    words.addEventListener('pointerleave', () => this.#hold(document.activeElement));
    words.addEventListener('focusout', () => this.#hold(null));
    pause.addEventListener('click', () => {
      this.#isPaused = !this.#isPaused;
      this.#update();
    });
    REDUCED_MOTION.addEventListener('change', () => this.#update());
    document.addEventListener('visibilitychange', () => this.#update());
  }

  /** @param {boolean} isShown  Whether the start page is; the example is loaded with the first. */
  set isShown(isShown) {
    this.#isShown = isShown;
    if (isShown && this.#caption === null) void this.#load();
    this.#update();
  }

  async #load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      this.#caption = readCaption(await getJson('static/example.json'));
    } catch (error) {
      // The photograph stays without a caption.
      if (!(error instanceof HttpError)) throw error;
    }
    this.#isLoading = false;
    this.#addWords();
    this.#update();
  }

  #addWords() {
    const { words } = this.#elements;
    const { text = '', words: scored = [], maps } = this.#caption ?? {};
    this.#buttons = scored.map((word, index) => {
      const button = createButton('', 'word');
      button.append(englishText(index === 0 ? text.slice(0, word.text.length) : word.text));
      const map = maps?.words[index];
      underline(button, word);
      labelWord(button, word);
      describeByMap(button, map);
      return button;
    });
    words.replaceChildren(...this.#buttons.flatMap((button) => [button, ' ']));
    this.#show(this.#next(-1));
  }

  /** Shows the next word from time to time, while that is wanted. */
  #update() {
    const { pause } = this.#elements;
    const mayTurn = this.#buttons.length > 1 && !REDUCED_MOTION.matches;
    pause.hidden = !mayTurn;
    pause.dataset.action = this.#isPaused ? 'play' : 'pause';
    pause.setAttribute(
      'aria-label',
      this.#isPaused ? gettext('Play the example') : gettext('Pause the example'),
    );
    clearInterval(this.#turning);
    if (!mayTurn || !this.#isShown || this.#isPaused || this.#isHeld || document.hidden) return;
    this.#turning = setInterval(() => this.#show(this.#next(this.#index)), TURN_MS);
  }

  /**
   * Returns the next word that says something: one that has a confidence.
   *
   * @param {number} index
   */
  #next(index) {
    const words = this.#caption?.words ?? [];
    const following = words.map((_, step) => (index + 1 + step) % words.length);
    return following.find((each) => (words[each]?.confidence ?? null) !== null) ?? 0;
  }

  /** @param {number} index  Of a word. */
  #show(index) {
    const { map, detail } = this.#elements;
    const word = this.#caption?.words[index];
    const heatMap = this.#caption?.maps?.words[index];
    if (!word) return;
    if (index !== this.#index && !REDUCED_MOTION.matches) {
      map.animate([{ opacity: 0 }, { opacity: 1 }], { duration: FADE_MS, easing: 'ease-out' });
    }
    this.#index = index;
    this.#map.map = heatMap ?? null;
    setTabStop(this.#buttons, index);
    this.#buttons.forEach((button, each) =>
      button.toggleAttribute('data-inspected', each === index),
    );
    setNodes(detail, wordNodes(word));
  }

  /** Shows a word for as long as the pointer or the focus is on it. @param {EventTarget | null} on */
  #hold(on) {
    const button = on instanceof Element ? on.closest('button') : null;
    const index = this.#buttons.findIndex((each) => each === button);
    // Between two words the pointer is over their container.
    if (index < 0 && on === this.#elements.words) return;
    this.#isHeld = index >= 0;
    if (this.#isHeld) this.#show(index);
    this.#update();
  }
}
