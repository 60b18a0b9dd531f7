// @ts-check
/**
 * Notifications of rules by this browser, while a page of the server is open, also in the background.
 * There is no Web Push, whose messages pass through a server of the browser's maker.
 */

import { getJson, HttpError } from './http.js';
import { asArray, asNumber, asObject, asString, parseJson, pictureUrl } from './json.js';
import { preference, setPreference } from './preferences.js';

/** @typedef {import('./json.js').JsonObject} JsonObject */

const PREFERENCE = 'rule_notifications';
/** What comes at once after a page has connected are the firings that last, which are no news. */
const OLD_MS = 500;
const RETRY_MS = 10_000;
/** When to look for the picture of a firing, which is stored a moment later; after the last time. */
const PICTURE_DELAYS_MS = [400, 1000, 3000];

export class RuleNotifications {
  /** @type {EventSource | null} */
  #events = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Whether pictures of feeds are stored. */
  #hasPictures = false;

  constructor() {
    addEventListener('pagehide', () => this.#disconnect());
    addEventListener('pageshow', ({ persisted }) => persisted && this.start());
  }

  static get isSupported() {
    return 'Notification' in window && window.isSecureContext;
  }

  /** Whether the user wants them, and the browser allows them. */
  get isOn() {
    return (
      RuleNotifications.isSupported &&
      preference(PREFERENCE) === true &&
      Notification.permission === 'granted'
    );
  }

  /** Connects if notifications are on. */
  start() {
    clearTimeout(this.#timer);
    if (!this.isOn || this.#events) return;
    const events = new EventSource('api/events');
    let newsFrom = Infinity;
    events.addEventListener('open', () => {
      newsFrom = performance.now() + OLD_MS;
      void this.#loadSettings();
    });
    events.addEventListener('rule', ({ data }) => {
      if (performance.now() > newsFrom) void notify(asObject(parseJson(data)), this.#hasPictures);
    });
    events.addEventListener('error', () => {
      if (events.readyState !== EventSource.CLOSED) return;
      this.#disconnect();
      this.#timer = setTimeout(() => this.start(), RETRY_MS);
    });
    this.#events = events;
  }

  /**
   * Turns notifications on, for which the browser may ask, so only after a click.
   *
   * @returns {Promise<boolean>}  Whether they are on.
   */
  async turnOn() {
    if (!RuleNotifications.isSupported) return false;
    const isAllowed = (await Notification.requestPermission()) === 'granted';
    setPreference(PREFERENCE, isAllowed);
    this.start();
    return isAllowed;
  }

  turnOff() {
    setPreference(PREFERENCE, false);
    this.#disconnect();
  }

  async #loadSettings() {
    const body = await getJson('api/feeds').catch(ignoreHttpError);
    if (body) this.#hasPictures = body.pictures === true;
  }

  #disconnect() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }
}

/**
 * Shows a notification at once, and then its picture, if this user may see it.
 *
 * @param {JsonObject} event  A firing.
 * @param {boolean} hasPictures
 */
async function notify(event, hasPictures) {
  const [rule, feed] = [asString(event.rule), asString(event.feed)];
  if (event.state !== 'on') return;
  const began = asNumber(event.began, 0);
  const title = `${rule}: ${feed}`;
  // Several pages that are open show one.
  const options = { body: asString(event.message), tag: `${rule}-${feed}-${began}` };
  const shown = new Notification(title, options);
  if (!hasPictures) return;
  let isClosed = false;
  shown.addEventListener('close', () => (isClosed = true));
  for (const delayMs of PICTURE_DELAYS_MS) {
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    const picture = isClosed ? '' : await findPicture(rule, feed, began);
    if (isClosed) return;
    if (picture !== '') {
      // Of the same tag: it replaces the first one, without a sound.
      const withPicture = { ...options, icon: picture, image: picture };
      new Notification(title, withPicture);
      return;
    }
  }
}

/**
 * @param {string} rule
 * @param {string} feed
 * @param {number} began
 * @returns {Promise<string>}  URL of a firing's picture; empty for none.
 */
async function findPicture(rule, feed, began) {
  const params = new URLSearchParams({ rule, feed, from: String(began), limit: '1' });
  const body = await getJson(`api/firings?${params}`).catch(ignoreHttpError);
  const firing = asObject(asArray(body?.firings)[0]);
  return firing.began === began ? pictureUrl(firing.picture) : '';
}

/** A notification is as useful without its picture. @param {unknown} error @returns {null} */
function ignoreHttpError(error) {
  if (!(error instanceof HttpError)) throw error;
  return null;
}
