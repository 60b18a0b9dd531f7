// @ts-check
/** The settings of captions and maps: sent to the server, and shown as it confirms them. */

import { englishText, getElement, setText } from '../common/dom.js';
import { secondsText, sentence } from '../common/format.js';
import { gettext, gettextNodes } from '../common/i18n.js';
import { asNumber, asObject } from '../common/json.js';
import { preference, setPreference } from '../common/preferences.js';
import { RETURNED_VIDEOS } from '../session/messages.js';
import { hasSaliency } from '../session/model.js';

/** @typedef {import('../session/messages.js').Hello} Hello */
/** @typedef {import('../session/messages.js').ReturnedVideo} ReturnedVideo */
/** @typedef {import('../session/messages.js').Settings} Settings */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {Pick<Settings, 'explanations' | 'overlay'>} MapSettings */
/**
 * Where the video comes from: the page itself, the server, or a stream that others watch too.
 *
 * @typedef {'page' | 'server' | 'shared'} VideoOrigin
 */

const PREFERENCE = 'settings';

/**
 * What the choices of heat maps mean: which come with captions, and which is drawn on the video.
 *
 * @type {Record<string, MapSettings>}
 */
const MAP_CHOICES = {
  none: { explanations: 'none', overlay: 'none' },
  words: { explanations: 'words', overlay: 'none' },
  all: { explanations: 'all', overlay: 'none' },
  'video-words': { explanations: 'words', overlay: 'words' },
  'video-saliency': { explanations: 'all', overlay: 'saliency' },
};

/** @type {Record<ReturnedVideo, string>} */
const ABOUT_RETURNED_VIDEO = {
  annotated: gettext('The server sends the video back with the caption drawn in.'),
  plain: gettext('The server sends the video back as it is. The caption is below it.'),
  off: gettext(
    'The server sends no video, which is the least work for it. You see your own camera or file, with maps and captions.',
  ),
};
const SERVER_HAS_VIDEO = gettext('This video is on the server, so it cannot be turned off.');
const VIDEO_IS_SHARED = gettext('Others may watch this video too, so it comes with the caption.');

/** Delay before a change is sent: a slider fires many. */
const DEBOUNCE_MS = 200;
/** A change that the server has not confirmed by then was rejected. */
const CONFIRMATION_TIMEOUT_MS = 4_000;

export function settingsFormElements() {
  return {
    interval: getElement('interval', HTMLInputElement),
    intervalText: getElement('interval-text'),
    beamWidth: getElement('beam-width', HTMLSelectElement),
    beamWidthField: getElement('beam-width-field'),
    maps: getElement('heat-maps', HTMLSelectElement),
    returnedVideo: getElement('returned-video-choice', HTMLSelectElement),
    aboutReturnedVideo: getElement('about-returned-video'),
    confirmation: getElement('confirmation'),
    readOnlyReason: getElement('settings-reason'),
  };
}

export class SettingsForm {
  #elements;
  #configure;
  #onReturnedVideo;
  /** The user's changes, which are sent again after a reconnection. @type {Partial<Settings>} */
  #changes = storedChanges();
  /** @type {Settings} */
  #confirmed = {
    interval_s: 1,
    beam_width: 3,
    overlay: 'none',
    explanations: 'none',
    returned_video: 'annotated',
  };
  #isPending = false;
  /** Whether the stream is a feed, most of whose settings are the server's. */
  #isFeed = false;
  /** @type {VideoOrigin} */
  #origin = 'page';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #debounce;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timeout;

  /**
   * @param {ReturnType<typeof settingsFormElements>} elements
   * @param {(settings: Partial<Settings>) => void} configure  Sends settings to the server.
   * @param {(mode: ReturnedVideo) => void} onReturnedVideo  Called with the video to show: `off`
   *   at once, any other when the server returns it.
   */
  constructor(elements, configure, onReturnedVideo) {
    this.#elements = elements;
    this.#configure = configure;
    this.#onReturnedVideo = onReturnedVideo;
    const { interval, beamWidth, maps, returnedVideo } = elements;
    interval.addEventListener('input', () => this.#change({ interval_s: Number(interval.value) }));
    beamWidth.addEventListener('change', () =>
      this.#change({ beam_width: Number(beamWidth.value) }),
    );
    maps.addEventListener('change', () => this.#change(MAP_CHOICES[maps.value] ?? {}));
    returnedVideo.addEventListener('change', () => {
      const mode = readReturnedVideo(returnedVideo.value);
      if (mode) this.returnedVideo = mode;
    });
    this.#showValues();
  }

  /** Seconds between captions, as the server last confirmed. */
  get intervalS() {
    return this.#confirmed.interval_s;
  }

  /** @param {VideoOrigin} origin  Of the session that begins. */
  set origin(origin) {
    this.#origin = origin;
    this.#confirmed = { ...this.#confirmed, returned_video: 'annotated' };
    this.#showValues();
  }

  /** @param {ReturnedVideo} mode  As the user chooses. */
  set returnedVideo(mode) {
    this.#change({ returned_video: mode });
  }

  /**
   * Applies the limits of a new connection, and sends the user's changes again.
   *
   * @param {Hello} hello
   */
  start({ settings, limits, watching, model }) {
    const { interval, beamWidth, beamWidthField } = this.#elements;
    beamWidthField.hidden = settings.beam_width === null;
    this.#dropImpossible(limits, settings, model);
    this.#setReadOnly(watching !== null);
    const [shortest, longest] = limits.interval_s;
    interval.min = String(shortest);
    interval.max = String(longest);
    const [narrowest, widest] = limits.beam_width;
    const widths = Array.from({ length: widest - narrowest + 1 }, (_, index) => narrowest + index);
    beamWidth.replaceChildren(...widths.map((width) => new Option(String(width))));
    this.#confirmed = settings;
    this.#showValues();
    this.#elements.confirmation.textContent = '';
    if (!this.#isConfirmed()) this.#sendChanges();
  }

  /**
   * Drops changes that this server or captioner cannot follow: they may be of another visit.
   *
   * @param {Hello['limits']} limits
   * @param {Settings} settings
   * @param {Model | null} model
   */
  #dropImpossible(limits, settings, model) {
    const { interval_s, beam_width, overlay } = this.#changes;
    if (interval_s !== undefined && !isWithin(interval_s, limits.interval_s)) {
      delete this.#changes.interval_s;
    }
    const hasBeam = settings.beam_width !== null && isWithin(beam_width, limits.beam_width);
    if (!hasBeam) delete this.#changes.beam_width;
    const lacksMaps = overlay === 'words' && model !== null && model.liveMethod === null;
    const lacksSaliency = overlay === 'saliency' && model !== null && !hasSaliency(model);
    if (lacksMaps || lacksSaliency) delete this.#changes.overlay;
  }

  /** @param {Settings} settings  In effect on the server. */
  confirm(settings) {
    this.#confirmed = settings;
    if (this.#isPending && !this.#isConfirmed()) return;
    this.#settle(gettext('Saved'));
  }

  /** @param {string} message  An error of the server, which rejects a pending change. */
  showError(message) {
    const reason = englishText(sentence(message));
    if (this.#isPending) this.#settle(...gettextNodes('Not saved: {reason}', { reason }));
    else this.#elements.confirmation.replaceChildren(reason);
  }

  /** @param {Partial<Settings>} change */
  #change(change) {
    Object.assign(this.#changes, change);
    this.#showValues();
    this.#showPending();
    clearTimeout(this.#debounce);
    this.#debounce = setTimeout(() => this.#sendChanges(), DEBOUNCE_MS);
  }

  #sendChanges() {
    this.#showPending();
    this.#configure(this.#ownChanges);
    clearTimeout(this.#timeout);
    this.#timeout = setTimeout(
      () => this.#settle(gettext('Not saved: the server did not confirm the change.')),
      CONFIRMATION_TIMEOUT_MS,
    );
  }

  #showPending() {
    this.#isPending = true;
    this.#elements.confirmation.textContent = gettext('Saving…');
  }

  /**
   * Shows the settings in effect, and drops changes that were not accepted.
   *
   * @param {...(Node | string)} result  Shown if a change was pending.
   */
  #settle(...result) {
    clearTimeout(this.#timeout);
    if (this.#isPending) this.#elements.confirmation.replaceChildren(...result);
    const wasPending = this.#isPending;
    this.#isPending = false;
    if (!this.#isConfirmed()) this.#changes = {};
    // Those that the user may not make to a feed are kept for the next session.
    if (wasPending) setPreference(PREFERENCE, this.#changes);
    this.#showValues();
  }

  /** The changes that the user may make to this stream. */
  get #ownChanges() {
    const { explanations, returned_video } = this.#changes;
    if (this.#isFeed) return explanations === undefined ? {} : { explanations };
    const changes = { ...this.#changes };
    if (returned_video !== undefined && !this.#canReturn(returned_video)) {
      delete changes.returned_video;
    }
    return changes;
  }

  /** @param {ReturnedVideo} mode */
  #canReturn(mode) {
    return this.#origin === 'page' || (this.#origin === 'server' && mode !== 'off');
  }

  /** @param {boolean} isFeed */
  #setReadOnly(isFeed) {
    const { interval, beamWidth, maps, readOnlyReason } = this.#elements;
    this.#isFeed = isFeed;
    for (const option of maps.options) option.disabled = isFeed && option.value.startsWith('video');
    for (const control of [interval, beamWidth]) {
      control.disabled = isFeed;
      toggleDescription(control, readOnlyReason, isFeed);
    }
    readOnlyReason.hidden = !isFeed;
  }

  #isConfirmed() {
    const { interval_s, ...wanted } = { ...this.#confirmed, ...this.#ownChanges };
    return (
      Math.abs(interval_s - this.#confirmed.interval_s) < 1e-6 &&
      wanted.beam_width === this.#confirmed.beam_width &&
      wanted.overlay === this.#confirmed.overlay &&
      wanted.explanations === this.#confirmed.explanations &&
      wanted.returned_video === this.#confirmed.returned_video
    );
  }

  #showValues() {
    const { interval, intervalText, beamWidth, maps } = this.#elements;
    const shown = { ...this.#confirmed, ...this.#ownChanges };
    interval.value = String(shown.interval_s);
    intervalText.textContent = secondsText(shown.interval_s);
    interval.setAttribute('aria-valuetext', secondsText(shown.interval_s));
    beamWidth.value = String(shown.beam_width ?? '');
    maps.value = mapChoice(shown, this.#isFeed);
    this.#showReturnedVideo(shown.returned_video);
  }

  /** @param {ReturnedVideo} mode  Of the settings in effect with the user's changes. */
  #showReturnedVideo(mode) {
    const { returnedVideo, aboutReturnedVideo } = this.#elements;
    returnedVideo.value = mode;
    returnedVideo.disabled = this.#origin === 'shared';
    for (const option of returnedVideo.options) {
      option.disabled = option.value === 'off' && this.#origin === 'server';
    }
    setText(aboutReturnedVideo, aboutText(mode, this.#origin));
    this.#onReturnedVideo(mode === 'off' ? mode : this.#confirmed.returned_video);
  }
}

/**
 * @param {MapSettings} settings
 * @param {boolean} isFeed  Whether the map that is drawn on the video is the server's choice.
 * @returns {string}  The key of `MAP_CHOICES` that is nearest.
 */
function mapChoice({ explanations, overlay }, isFeed) {
  return overlay === 'none' || isFeed ? explanations : `video-${overlay}`;
}

/**
 * @param {ReturnedVideo} mode
 * @param {VideoOrigin} origin
 */
function aboutText(mode, origin) {
  if (origin === 'shared') return VIDEO_IS_SHARED;
  const about = ABOUT_RETURNED_VIDEO[mode];
  return origin === 'server' ? `${about} ${SERVER_HAS_VIDEO}` : about;
}

/** @param {unknown} value @returns {ReturnedVideo | undefined} */
function readReturnedVideo(value) {
  return RETURNED_VIDEOS.find((mode) => mode === value);
}

/** @returns {Partial<Settings>}  Those of the last visit that are valid. */
function storedChanges() {
  const stored = asObject(preference(PREFERENCE));
  const { interval_s, beam_width, explanations, overlay } = stored;
  /** @type {Partial<Settings>} */
  const changes = {};
  if (asNumber(interval_s, 0) > 0) changes.interval_s = asNumber(interval_s, 1);
  if (asNumber(beam_width, 0) > 0) changes.beam_width = asNumber(beam_width, 3);
  const returnedVideo = readReturnedVideo(stored.returned_video);
  if (returnedVideo) changes.returned_video = returnedVideo;
  const choices = Object.values(MAP_CHOICES);
  const choice = choices.find(
    (each) => each.explanations === explanations && each.overlay === overlay,
  );
  return { ...changes, ...choice };
}

/**
 * @param {number | null | undefined} value
 * @param {[lowest: number, highest: number]} range
 */
function isWithin(value, [lowest, highest]) {
  return typeof value === 'number' && value >= lowest && value <= highest;
}

/**
 * Adds an element to those that describe a control, or removes it.
 *
 * @param {HTMLElement} control
 * @param {HTMLElement} description
 * @param {boolean} applies
 */
function toggleDescription(control, description, applies) {
  const others = (control.getAttribute('aria-describedby') ?? '')
    .split(' ')
    .filter((id) => id !== '' && id !== description.id);
  const ids = applies ? [description.id, ...others] : others;
  control.setAttribute('aria-describedby', ids.join(' '));
}
