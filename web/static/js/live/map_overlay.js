// @ts-check
/**
 * The heat map over the live video, for the word, the caption or the tag that is inspected, with
 * its description below the caption. Over a video that the server does not return, it is also the
 * map that is always drawn, if the user has chosen one.
 */

import { listedTags, wordOfTag } from '../captions/caption.js';
import { inOneLine, wordSentences } from '../captions/caption_text.js';
import { contentWords } from '../captions/content_words.js';
import { englishText, setNodes } from '../common/dom.js';
import { gettext, gettextNodes, ngettext } from '../common/i18n.js';
import { relativeStrength } from '../heatmaps/heat_map.js';
import { locationText } from '../heatmaps/map_location.js';
import { hasSaliency } from '../session/model.js';
import { RequestError } from '../session/requests.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../captions/caption.js').Word} Word */
/** @typedef {import('../heatmaps/heat_map.js').HeatMap} HeatMap */
/** @typedef {import('../session/explanation_messages.js').Explanation} Explanation */
/** @typedef {import('../session/messages.js').MapRates} MapRates */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('../session/messages.js').Settings} Settings */
/** @typedef {{kind: 'word', index: number} | {kind: 'caption'}} Inspected */
/**
 * @typedef {object} ShownMap
 * @property {HeatMap} map
 * @property {string} method
 * @property {number | null} strength  Relative to the strongest word, 0 to 1.
 */

/** @typedef {import('../captions/caption_text.js').Sentence} Sentence */

/** Why the map of a tag is missing. @type {Record<string, string>} */
const ERROR_TEXTS = {
  busy: gettext('The captioner is busy. Select it again in a moment.'),
  'captioner-paused': gettext('Captions are paused. Maps return with them.'),
  gone: gettext('Its frame is no longer available.'),
  unconnected: gettext('Not connected.'),
};

const OUTDATED = gettext('The map is not drawn: the video shows something else by now.');

/** Messages may come before the frames that they are about. */
const FRAMES_LATE_MS = 500;

export class MapOverlay {
  #elements;
  #requests;
  /** @type {Caption | null} */
  #caption = null;
  /** The caption of the video now, if an older one is held. @type {Caption | null} */
  #newest = null;
  /** @type {Inspected | null} */
  #inspected = null;
  /** The selected tag, whose map is requested again for each caption. @type {string | null} */
  #tag = null;
  /** @type {ShownMap | null} */
  #tagMap = null;
  #tagRemark = '';
  /** @type {AbortController | null} */
  #pending = null;
  /** The newest saliency map of the caption. @type {Explanation | null} */
  #saliency = null;
  /** Null until it has been loaded. @type {Model | null} */
  #model = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #textLowered;
  /** @type {Settings['explanations']} */
  #explanations = 'none';
  /** The map that is always drawn. @type {Settings['overlay']} */
  #overlay = 'none';
  /** Whether the video is that of the page, on which the server draws nothing. */
  #isDirect = false;
  /** Whether the caption is out of date. */
  #isStale = false;
  /** Whether all captions until now are of another scene than the video. */
  #isCut = false;
  /** Whether the maps of the tag and of pixels are of another scene. */
  #areMapsOld = false;
  #isFeed = false;
  /** @type {MapRates} */
  #rates = { words_every: 1, saliency_every: 1 };

  /**
   * @param {object} elements
   * @param {import('../heatmaps/map_canvas.js').MapCanvas} elements.canvas  Over the video.
   * @param {import('../heatmaps/live_map_legend.js').LiveMapLegend} elements.legend
   * @param {HTMLElement} elements.description
   * @param {import('../session/requests.js').Requests} requests
   */
  constructor(elements, requests) {
    this.#elements = elements;
    this.#requests = requests;
  }

  /** @param {Model | null} model */
  set model(model) {
    this.#model = model;
    this.#elements.legend.method = model?.methods.find(({ name }) => name === model.liveMethod);
  }

  /** @param {number} top  Of the text in the video, as a fraction of its height; 1 without text. */
  set textTop(top) {
    const { canvas } = this.#elements;
    clearTimeout(this.#textLowered);
    canvas.textTop = Math.min(canvas.textTop, top);
    this.#textLowered = setTimeout(() => (canvas.textTop = top), FRAMES_LATE_MS);
  }

  /**
   * @param {Settings} settings
   * @param {MapRates} rates
   * @param {boolean} isFeed  Whether the stream is a feed.
   */
  configure({ explanations, overlay }, rates, isFeed) {
    this.#isFeed = isFeed;
    this.#explanations = explanations;
    this.#rates = rates;
    if (explanations !== 'all') this.#saliency = null;
    if (overlay === this.#overlay) return;
    this.#overlay = overlay;
    this.#update();
  }

  /** @param {boolean} isDirect  Whether the video is that of the page. */
  set isDirect(isDirect) {
    if (isDirect === this.#isDirect) return;
    this.#isDirect = isDirect;
    this.#isCut &&= isDirect;
    this.#update();
  }

  /** @param {boolean} isStale  Whether the caption on the page is out of date. */
  set isStale(isStale) {
    if (isStale === this.#isStale) return;
    this.#isStale = isStale;
    this.#update();
  }

  /** @param {boolean} isCut  Whether all captions until now are of another scene than the video. */
  set isCut(isCut) {
    if (isCut === this.#isCut) return;
    this.#isCut = isCut;
    this.#areMapsOld ||= isCut;
    this.#update();
  }

  /** @param {Caption | null} caption  The one on the page. */
  show(caption) {
    const isOther = caption?.seq !== this.#caption?.seq;
    // A saliency map comes after its caption, and is not valid for another one.
    if (caption?.text !== this.#caption?.text) this.#saliency = null;
    if (this.#areMapsOld && !this.#isCut) this.#dropOldMaps();
    this.#caption = caption;
    this.#newest = null;
    if (caption === null) {
      this.#inspected = null;
      this.tag = null;
    } else if (isOther && this.#tag !== null && !caption.kept) {
      this.#requestTagMap(this.#tag);
    }
    this.#update();
  }

  #dropOldMaps() {
    this.#areMapsOld = false;
    this.#saliency = this.#tagMap = null;
    this.#pending?.abort();
    this.#pending = null;
  }

  /** @param {Caption} caption  A newer one than that on the page, which is held. */
  set newest(caption) {
    this.#newest = caption;
    this.#update();
  }

  /** @param {Explanation} explanation  A map that came without a request. */
  receive(explanation) {
    if (explanation.of.kind !== 'caption' || this.#explanations !== 'all') return;
    // The caption on the page may be held, and the map of a newer one.
    if (this.#caption && explanation.seq > this.#caption.seq) return;
    this.#saliency = explanation;
    if (this.#inspected?.kind !== 'word') this.#update();
  }

  /** @param {Inspected | null} inspected */
  inspect(inspected) {
    this.#inspected = inspected;
    this.#update();
  }

  /** @param {string | null} name  The tag whose map is shown while no word is inspected. */
  set tag(name) {
    this.#tag = name;
    this.#tagMap = null;
    this.#tagRemark = '';
    this.#pending?.abort();
    this.#pending = null;
    if (name !== null) this.#requestTagMap(name);
    this.#update();
  }

  get tag() {
    return this.#tag;
  }

  /** @param {string} name */
  async #requestTagMap(name) {
    if (this.#pending || !this.#caption) return;
    const method = this.#model?.methods.find(({ kinds }) => kinds.includes('tag'));
    if (!method) {
      this.#tagRemark = gettext('This model cannot locate objects.');
      return;
    }
    if (this.#tagMap === null) this.#tagRemark = gettext('Computing its map…');
    const pending = (this.#pending = new AbortController());
    const of = { kind: /** @type {const} */ ('tag'), text: name };
    const params = { seq: this.#caption.seq, method: method.name, of };
    try {
      const { map } = await this.#requests.explain(params, pending.signal);
      if (this.#pending !== pending) return;
      this.#tagMap = { map, method: method.name, strength: null };
    } catch (error) {
      if (this.#pending !== pending) return;
      this.#tagMap = null;
      const code = error instanceof RequestError ? error.code : '';
      this.#tagRemark = ERROR_TEXTS[code] ?? gettext('Its map could not be computed.');
    }
    this.#pending = null;
    this.#update();
  }

  #update() {
    const { canvas, legend, description } = this.#elements;
    const shown = this.#shownMap();
    const method = this.#model?.methods.find(({ name }) => name === shown?.method);
    const isOutdated = shown !== null && this.#isOutdated();
    canvas.map = isOutdated ? null : (shown?.map ?? null);
    if (shown && !isOutdated) {
      const { map, strength } = shown;
      legend.show(this.#subjectText, method ?? { title: shown.method, unit: '' }, map, strength);
    } else {
      legend.hide();
    }
    const described = this.#describe(shown);
    const isOutdatedMap = isOutdated && described.length > 0;
    const nodes = inOneLine(isOutdatedMap ? [...described, [OUTDATED]] : described);
    description.toggleAttribute('data-word', nodes.length > 0);
    setNodes(description, nodes);
  }

  /** Returns whether nothing that the map is of is in the newest caption. */
  #isOutdated() {
    if (this.#isCut) return true;
    const newest = this.#newest;
    if (newest === null) return false;
    const tags = newest.tags.map(({ text }) => text);
    const present = contentWords([newest.text, newest.guess, ...tags].join(' '));
    const words = contentWords(this.#subjectText ?? this.#caption?.text ?? '');
    return words.size > 0 && ![...words].some((word) => present.has(word));
  }

  /** The word or the tag that the map is of; null for the whole caption. */
  get #subjectText() {
    const [caption, inspected] = [this.#caption, this.#inspected];
    if (inspected?.kind === 'caption' || (inspected === null && this.#tag === null)) return null;
    const words = (caption && listedTags(caption)) ?? caption?.words ?? [];
    return (inspected === null ? this.#tag : words[inspected.index]?.text) ?? '';
  }

  /** @returns {ShownMap | null} */
  #shownMap() {
    const [caption, inspected] = [this.#caption, this.#inspected];
    if (caption === null) return null;
    if (inspected === null)
      return this.#tag === null ? this.#alwaysShownMap(caption) : this.#tagMap;
    const { maps } = caption;
    if (inspected.kind === 'caption') {
      if (this.#saliency) return { ...this.#saliency, strength: null };
      return maps && { map: maps.caption, method: maps.method, strength: null };
    }
    const listed = listedTags(caption);
    if (listed) return listed[inspected.index]?.text === this.#tag ? this.#tagMap : null;
    const map = maps?.words[inspected.index];
    return maps && map
      ? { map, method: maps.method, strength: relativeStrength(map, maps.words) }
      : null;
  }

  /**
   * Returns the map that the server would draw on the video that it returns.
   *
   * @param {Caption} caption
   * @returns {ShownMap | null}
   */
  #alwaysShownMap({ maps }) {
    if (!this.#isDirect || this.#isStale) return null;
    if (this.#overlay === 'saliency')
      return this.#saliency && { ...this.#saliency, strength: null };
    if (this.#overlay === 'none' || maps === null) return null;
    return { map: maps.caption, method: maps.method, strength: null };
  }

  /** @param {ShownMap | null} shown @returns {Sentence[]} */
  #describe(shown) {
    const [caption, inspected] = [this.#caption, this.#inspected];
    if (caption === null) return [];
    const where = shown && gettext('Based on: {place}.', { place: locationText(shown.map) });
    const whereOrWhyNot = () => [where ?? this.#missingMapText()];
    if (inspected?.kind === 'caption') return [[gettext('Whole caption.')], whereOrWhyNot()];
    if (inspected === null) {
      if (this.#tag === null) return [];
      const object = englishText(this.#tag);
      return [gettextNodes('Object “{object}”.', { object }), [where ?? this.#tagRemark]];
    }
    const listed = listedTags(caption);
    if (listed) {
      const tag = listed[inspected.index];
      const isSelected = tag?.text === this.#tag;
      const remark = isSelected ? this.#tagRemark : gettext('Select it to see where.');
      return tag ? [...wordSentences(wordOfTag(tag)), [where ?? remark]] : [];
    }
    const word = caption.words[inspected.index];
    return word ? [...wordSentences(word), whereOrWhyNot()] : [];
  }

  /** Returns why a caption has no maps of its words. */
  #missingMapText() {
    const model = this.#model;
    if (model?.liveMethod === null) {
      const canExplain = model.methods.some(({ kinds }) => kinds.includes('word'));
      return canExplain ? gettext('Freeze the caption to compute its map.') : '';
    }
    if (this.#explanations === 'none')
      return gettext('No map: maps are turned off in the settings.');
    const reduced = reducedMapsText(model, this.#explanations, this.#rates, this.#isFeed);
    return reduced || gettext('No map for this caption.');
  }
}

/**
 * @param {Model | null} model
 * @param {Settings['explanations']} explanations  As requested.
 * @param {MapRates} rates
 * @param {boolean} isFeed  Whether the stream is a feed, whose maps the server sets.
 * @returns {string}  Which maps come less often than requested; empty if none does.
 */
export function reducedMapsText(model, explanations, { words_every, saliency_every }, isFeed) {
  const reduced = [];
  if (model !== null && model.liveMethod !== null && explanations !== 'none' && words_every !== 1) {
    reduced.push(wordMapsText(words_every));
  }
  if (hasSaliency(model) && explanations === 'all' && saliency_every !== 1) {
    reduced.push(pixelMapsText(saliency_every));
  }
  if (reduced.length === 0) return '';
  const reason = isFeed
    ? gettext('This feed has fewer maps right now.')
    : gettext('Fewer maps, because the captioner is busy.');
  return [reason, ...reduced].join(' ');
}

/** @param {number} every  One caption in so many has a map; 0 for none. */
function wordMapsText(every) {
  return every === 0
    ? gettext('Word maps: none.')
    : ngettext('Word maps: every caption.', 'Word maps: one caption in {count}.', every);
}

/** @param {number} every  One caption in so many has a map; 0 for none. */
function pixelMapsText(every) {
  return every === 0
    ? gettext('Pixel maps: none.')
    : ngettext('Pixel maps: every caption.', 'Pixel maps: one caption in {count}.', every);
}
