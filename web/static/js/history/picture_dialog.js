// @ts-check
/** The dialog with the picture of a past caption, whose words show where they were found. */

import { createButton, englishText, getElement, moveFocus, setTabStop } from '../common/dom.js';
import { timeRange } from '../common/format.js';
import { getJson, HttpError } from '../common/http.js';
import { gettext } from '../common/i18n.js';
import { asArray, asObject, asString } from '../common/json.js';
import { readHeatMap } from '../heatmaps/heat_map.js';
import { MapCanvas } from '../heatmaps/map_canvas.js';
import { describeByMap, locationText } from '../heatmaps/map_location.js';

/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {{picture: string, text: string, from: Date, to: Date}} Pictured  With its caption. */
/** @typedef {{text: string, map: HeatMap}} MappedWord */

export class PictureDialog {
  #dialog = getElement('picture', HTMLDialogElement);
  #image = getElement('picture-image', HTMLImageElement);
  #words = getElement('picture-words');
  #detail = getElement('picture-detail');
  #map = new MapCanvas(getElement('picture-map', HTMLCanvasElement), () => ({
    width: this.#image.naturalWidth,
    height: this.#image.naturalHeight,
  }));
  /** @type {MappedWord[]} */
  #mapped = [];
  /** @type {HTMLButtonElement[]} */
  #buttons = [];
  /** Aborts the request for the maps. */
  #request = new AbortController();

  constructor() {
    getElement('picture-close').addEventListener('click', () => this.#dialog.close());
    this.#image.addEventListener('load', () => this.#map.paint());
    this.#image.addEventListener('error', () => {
      if (this.#image.getAttribute('src')) {
        this.#detail.textContent = gettext('The picture is gone. It may have been deleted.');
      }
    });
    this.#dialog.addEventListener('close', () => {
      this.#request.abort();
      this.#image.removeAttribute('src');
    });
    this.#words.addEventListener('keydown', (event) => moveFocus(event, this.#buttons));
    this.#words.addEventListener('click', ({ target }) => this.#select(target));
    this.#words.addEventListener('focusin', ({ target }) => this.#select(target));
  }

  /**
   * @param {Pictured} pictured
   * @param {string} title  Of its feed.
   */
  async show({ picture, text, from, to }, title) {
    this.#request.abort();
    const { signal } = (this.#request = new AbortController());
    this.#map.map = null;
    this.#mapped = this.#buttons = [];
    this.#image.src = picture;
    this.#image.alt = text;
    this.#words.replaceChildren(englishText(text));
    this.#words.setAttribute('role', 'group');
    this.#detail.textContent = '';
    getElement('picture-moment').replaceChildren(title, ' · ', ...timeRange(from, to));
    this.#dialog.showModal();
    try {
      const { words } = await getJson(picture.replace(/picture$/, 'maps'), signal);
      this.#addWords(asArray(words).flatMap(readWord));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof HttpError)) throw error;
      this.#addWords([]);
    }
  }

  /** @param {MappedWord[]} words */
  #addWords(words) {
    if (words.length === 0) {
      this.#detail.textContent = gettext('No maps were stored with this picture.');
      return;
    }
    this.#mapped = words;
    this.#buttons = words.map(({ text, map }, index) => {
      const first = text.slice(0, 1).toUpperCase() + text.slice(1);
      const button = createButton('', 'word');
      button.append(englishText(index === 0 ? first : text));
      button.setAttribute('aria-pressed', 'false');
      describeByMap(button, map);
      return button;
    });
    this.#words.setAttribute('role', 'toolbar');
    this.#words.replaceChildren(...this.#buttons.flatMap((button) => [button, ' ']));
    setTabStop(this.#buttons, 0);
    this.#detail.textContent = gettext('Select a word to see where it came from.');
  }

  /** Shows the map of a word. @param {EventTarget | null} target */
  #select(target) {
    const button = target instanceof Element ? target.closest('button') : null;
    const index = this.#buttons.findIndex((each) => each === button);
    const word = this.#mapped[index];
    if (!word) return;
    this.#map.map = word.map;
    setTabStop(this.#buttons, index);
    this.#buttons.forEach((each, at) => each.setAttribute('aria-pressed', String(at === index)));
    this.#detail.replaceChildren(
      gettext('“{word}”: {place}', { word: word.text, place: locationText(word.map) }),
    );
  }
}

/** @param {unknown} value @returns {MappedWord[]}  One, or none if it is malformed. */
function readWord(value) {
  const { text, map } = asObject(value);
  const read = readHeatMap(map);
  return read && asString(text) !== '' ? [{ text: asString(text), map: read }] : [];
}
