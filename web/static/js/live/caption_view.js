// @ts-check
/** The newest caption: its words underlined by confidence or rank, its confidence, and its age. */

import { captionText, listedTags, shownWords, underline } from '../captions/caption.js';
import {
  captionNodes,
  choiceNodes,
  confidenceText,
  splitForPage,
  labelWord,
} from '../captions/caption_text.js';
import { GuessDisclosure } from '../captions/guess_disclosure.js';
import {
  createButton,
  englishText,
  getElement,
  moveFocus,
  setNodes,
  setTabStop,
} from '../common/dom.js';
import { ageText, durationText, staleAfter } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { describeByMap } from '../heatmaps/map_location.js';
import { serverNode } from '../session/server_texts.js';
import { CaptionHold } from './caption_hold.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../captions/caption.js').Word} Word */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/**
 * What is told of a held caption, so that its frame is kept meanwhile.
 *
 * @typedef {object} HoldListener
 * @property {(seq: number) => void} onHeld     A newer caption has come.
 * @property {() => void} onReleased            Called only after `onHeld`.
 */

const TICK_MS = 100;
/** Captions with more characters are set smaller, so that they fit. */
const LONG_CAPTION = 90;
const VERY_LONG_CAPTION = 170;

/** How much later a frame may have been captured than its caption states. */
const CAPTURE_ERROR_MS = 200;

export function captionViewElements() {
  return {
    leadingTag: getElement('leading-tag'),
    prefix: getElement('lead'),
    words: getElement('caption'),
    sentence: getElement('sentence'),
    note: getElement('caption-note'),
    age: getElement('age'),
    ageLine: getElement('sightline'),
    confidence: getElement('certainty'),
    panel: getElement('screen'),
    choice: getElement('choice-note'),
    objects: getElement('objects'),
    freeze: getElement('freeze'),
    followUps: [getElement('freeze'), getElement('about-map')],
    guess: {
      row: getElement('doubt'),
      toggle: getElement('show-guess'),
      text: getElement('guess'),
    },
  };
}

export class CaptionView {
  #elements;
  #guess;
  #tags;
  #mapOverlay;
  /** @type {Caption | null} */
  #caption = null;
  /** On the clock of `performance.now()`. */
  #capturedAt = 0;
  /** When the first frame was captured that this caption describes. */
  #unchangedSince = 0;
  #staleAfterS = staleAfter(1);
  /** When the current scene began on the page; captions of earlier frames are of another one. */
  #cutAt = -Infinity;
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** The word under the pointer or with the focus; negative for none. */
  #inspected = -1;
  #lastInspected = -1;
  #hold;
  #listener;
  /** Shows the newest caption, while an older one is held. @type {(() => void) | null} */
  #showNewest = null;

  /**
   * @param {ReturnType<typeof captionViewElements>} elements
   * @param {import('../captions/tag_list.js').TagList} tags
   * @param {import('./map_overlay.js').MapOverlay} mapOverlay
   * @param {HoldListener} listener
   */
  constructor(elements, tags, mapOverlay, listener) {
    this.#elements = elements;
    this.#listener = listener;
    this.#guess = new GuessDisclosure(elements.guess);
    this.#tags = tags;
    this.#mapOverlay = mapOverlay;
    const { words, confidence } = elements;
    words.addEventListener('keydown', (event) => moveFocus(event, this.#buttons));
    words.addEventListener('pointerover', (event) => this.#inspect(event.target));
    words.addEventListener('focusin', (event) => this.#inspect(event.target));
    words.addEventListener('click', (event) => this.#select(event.target));
    words.addEventListener('pointerleave', () => this.#inspect(document.activeElement));
    words.addEventListener('focusout', () => this.#inspect(null));
    for (const type of ['pointerenter', 'focus', 'click']) {
      confidence.addEventListener(type, () => mapOverlay.inspect({ kind: 'caption' }));
    }
    for (const type of ['pointerleave', 'blur']) {
      confidence.addEventListener(type, () => this.#showInspectedMap());
    }
    this.#hold = new CaptionHold([words, confidence, elements.objects], elements.followUps, () =>
      this.#resume(),
    );
    setInterval(() => this.#tick(), TICK_MS);
    this.clear();
  }

  /**
   * Shows a caption now, or once the one on the page is no longer held.
   *
   * @param {Caption} caption
   * @param {number} capturedAt  When its frame was captured, on the clock of `performance.now()`.
   * @param {number} intervalS   Seconds between captions, from which it follows when one is stale.
   */
  add(caption, capturedAt, intervalS) {
    this.#elements.words.dataset.newest = String(caption.seq);
    if (this.#isOfThisScene(capturedAt)) this.#mapOverlay.isCut = false;
    const shown = this.#caption;
    // Of a scene that has not changed there is nothing newer to show.
    const repeats = caption.kept && caption.text === shown?.text && !this.#showNewest;
    if (shown === null || repeats || !this.#hold.isHeld) {
      this.#show(caption, capturedAt, intervalS);
      return;
    }
    if (this.#showNewest === null) this.#listener.onHeld(shown.seq);
    this.#showNewest = () => this.#show(caption, capturedAt, intervalS);
    this.#mapOverlay.newest = caption;
  }

  /** Notes that the video shows another scene from now on. */
  cut() {
    this.#cutAt = performance.now();
    this.#mapOverlay.isCut = true;
    this.#tick();
  }

  /** @param {number} capturedAt */
  #isOfThisScene(capturedAt) {
    return capturedAt > this.#cutAt + CAPTURE_ERROR_MS;
  }

  #resume() {
    const showNewest = this.#showNewest;
    this.#showNewest = null;
    showNewest?.();
    if (showNewest) this.#listener.onReleased();
    this.#tick();
  }

  /**
   * @param {Caption} caption
   * @param {number} capturedAt
   * @param {number} intervalS
   */
  #show(caption, capturedAt, intervalS) {
    if (caption.text !== this.#caption?.text) this.#lastInspected = this.#inspected;
    if (!caption.kept || caption.text !== this.#caption?.text) this.#unchangedSince = capturedAt;
    this.#caption = caption;
    this.#capturedAt = capturedAt;
    this.#staleAfterS = staleAfter(intervalS);
    const isList = caption.fallback === 'tags' || caption.fallback === 'words';
    this.#setWords(shownWords(caption), isList ? ', ' : ' ');
    this.#buttons.forEach((button, index) => describeByMap(button, caption.maps?.words[index]));
    const { panel, words, prefix, sentence, note, confidence, choice, freeze } = this.#elements;
    setNodes(note, [serverNode(caption.note)]);
    choice.replaceChildren(...choiceNodes(caption));
    sentence.replaceChildren(...captionNodes(caption));
    const { lead, prefix: prefixText } = splitForPage(caption);
    this.#elements.leadingTag.textContent = lead;
    prefix.textContent = prefixText;
    confidence.textContent = confidenceText(caption);
    describeByMap(confidence, caption.maps?.caption);
    words.dataset.seq = String(caption.seq);
    words.dataset.length = lead === '' ? lengthClass(caption.text) : 'very-long';
    panel.toggleAttribute('data-unsure', caption.fallback !== null);
    panel.dataset.words = wordsKind(caption);
    delete panel.dataset.empty;
    freeze.ariaDisabled = null;
    this.#guess.show(caption.guess);
    const listed = listedTags(caption) ?? [];
    this.#tags.show(caption.tags.filter((tag) => !listed.includes(tag)));
    this.#mapOverlay.show(caption);
    this.#markInspected();
    this.#tick();
  }

  get caption() {
    return this.#caption;
  }

  /** When the caption's frame was captured. */
  get capturedAt() {
    return new Date(Date.now() - (performance.now() - this.#capturedAt));
  }

  /** The index of the caption's word that was inspected last; negative for none. */
  get lastInspected() {
    return this.#lastInspected;
  }

  /** The caption in one line; empty before the first one. */
  get text() {
    return this.#caption ? captionText(this.#caption) : '';
  }

  /** Goes on with the newest caption, whatever has the pointer or the focus. */
  release() {
    this.#hold.end();
  }

  clear() {
    const { panel, prefix, sentence, note, confidence, words, age, choice, freeze } =
      this.#elements;
    this.#elements.leadingTag.textContent = '';
    this.#caption = this.#showNewest = null;
    this.#cutAt = -Infinity;
    this.#hold.end();
    this.#inspected = -1;
    this.#setWords([], ' ');
    this.#guess.show('');
    this.#tags.show([]);
    for (const element of [sentence, note, confidence, age, prefix, choice]) {
      element.textContent = '';
    }
    delete words.dataset.seq;
    delete words.dataset.newest;
    delete panel.dataset.age;
    delete panel.dataset.unsure;
    panel.dataset.empty = '';
    // There is nothing to freeze yet. Unlike `disabled`, this leaves the focus on the button.
    freeze.ariaDisabled = 'true';
    this.#mapOverlay.show(null);
  }

  #tick() {
    if (this.#caption === null) return;
    const now = performance.now();
    const seconds = Math.max(0, now - this.#capturedAt) / 1000;
    const { panel, age, ageLine } = this.#elements;
    // A held caption is old because the user looks at it, not because captions fail to come.
    const isOutdated = seconds > this.#staleAfterS || !this.#isOfThisScene(this.#capturedAt);
    const isStale = isOutdated && this.#showNewest === null;
    age.textContent = this.#ageText(ageText(seconds), isStale, (now - this.#unchangedSince) / 1000);
    panel.toggleAttribute('data-held', this.#hold.isHeld);
    panel.dataset.age = isStale ? 'stale' : 'fresh';
    ageLine.style.setProperty('--age', Math.min(1, seconds / this.#staleAfterS).toFixed(3));
    this.#mapOverlay.isStale = isStale;
  }

  /**
   * @param {string} text  Of the age alone.
   * @param {boolean} isStale
   * @param {number} unchangedS  Seconds for which the scene has not changed.
   */
  #ageText(text, isStale, unchangedS) {
    if (this.#hold.isHeld) return gettext('{age}. Held; live continues', { age: text });
    if (isStale) return gettext('{age}, out of date', { age: text });
    if (!this.#caption?.kept) return text;
    const duration = durationText(unchangedS);
    return gettext('{age}, unchanged for {duration}', { age: text, duration });
  }

  /**
   * Replaces words in place, so that the focus and the pointer stay where they are.
   *
   * @param {Word[]} words
   * @param {string} separator
   */
  #setWords(words, separator) {
    const focused = this.#focusedIndex;
    while (this.#buttons.length < words.length) this.#addButton();
    if (focused >= words.length) this.#buttons[words.length - 1]?.focus();
    for (const surplus of this.#buttons.splice(words.length)) {
      surplus.nextSibling?.remove();
      surplus.remove();
    }
    this.#buttons.forEach((button, index) => {
      const word = words[index];
      if (!word) return;
      if (word.text !== button.textContent) fadeIn(button);
      setWord(button, word);
      const next = words[index + 1]?.text;
      const gap = next === undefined || next.startsWith("'") ? '' : separator;
      if (button.nextSibling) button.nextSibling.textContent = gap;
    });
    this.#inspected = Math.min(this.#inspected, words.length - 1);
    this.#setTabStop();
  }

  #addButton() {
    const button = createButton('', 'word');
    this.#buttons.push(button);
    this.#elements.words.append(button, ' ');
  }

  /** Puts the focused word, or else the inspected one, into the tab order. */
  #setTabStop() {
    const focused = this.#focusedIndex;
    setTabStop(this.#buttons, focused < 0 ? Math.max(0, this.#inspected) : focused);
  }

  /** The index of the word that has the focus; negative for none. */
  get #focusedIndex() {
    return this.#buttons.findIndex((button) => button === document.activeElement);
  }

  /** @param {EventTarget | null} target */
  #inspect(target) {
    const inspected = target instanceof Element ? target.closest('button') : null;
    const index = this.#buttons.findIndex((button) => button === inspected);
    // Between two words the pointer is over the container: keep the last word.
    if (index < 0 && target === this.#elements.words) return;
    this.#inspected = index;
    if (index >= 0) {
      this.#lastInspected = index;
      this.#setTabStop();
    }
    this.#markInspected();
    this.#showInspectedMap();
  }

  /**
   * Inspects a word. If it is a tag, its map is requested now.
   *
   * @param {EventTarget | null} target
   */
  #select(target) {
    this.#inspect(target);
    const tag = this.#caption && listedTags(this.#caption)?.[this.#inspected];
    if (tag) this.#mapOverlay.tag = tag.text;
  }

  #showInspectedMap() {
    const index = this.#inspected;
    this.#mapOverlay.inspect(index < 0 ? null : { kind: 'word', index });
  }

  #markInspected() {
    this.#buttons.forEach((button, index) =>
      button.toggleAttribute('data-inspected', index === this.#inspected),
    );
  }
}

/**
 * @param {HTMLButtonElement} button
 * @param {Word} word
 */
function setWord(button, word) {
  if (button.textContent !== word.text) button.replaceChildren(englishText(word.text));
  underline(button, word);
  button.style.setProperty('--sure', String(word.confidence ?? 1));
  labelWord(button, word);
}

/**
 * Returns what the underlines of the words stand for: confidence, ranks or nothing.
 *
 * @param {Caption} caption
 */
function wordsKind({ confidence, words }) {
  if (confidence !== null) return 'calibrated';
  return words.some(({ rank }) => rank !== null) ? 'ranked' : 'plain';
}

/** @param {string} text */
function lengthClass(text) {
  if (text.length > VERY_LONG_CAPTION) return 'very-long';
  return text.length > LONG_CAPTION ? 'long' : 'usual';
}

/** @param {HTMLElement} element */
function fadeIn(element) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  element.animate([{ opacity: 0.4 }, { opacity: 1 }], { duration: 240, easing: 'ease-out' });
}
