// @ts-check
/**
 * Notifications of rules by this browser, while a page of the server is open, also in the background.
 * There is no Web Push, whose messages pass through a server of the browser's maker.
 */

import { asNumber, asObject, asString, parseJson } from './json.js';
import { preference, setPreference } from './preferences.js';

const PREFERENCE = 'rule_notifications';
/** What comes at once after a page has connected are the firings that last, which are no news. */
const OLD_MS = 500;
const RETRY_MS = 10_000;

export class RuleNotifications {
  /** @type {EventSource | null} */
  #events = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

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
    events.addEventListener('open', () => (newsFrom = performance.now() + OLD_MS));
    events.addEventListener('rule', ({ data }) => {
      if (performance.now() > newsFrom) notify(asObject(parseJson(data)));
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

  #disconnect() {
    clearTimeout(this.#timer);
    this.#events?.close();
    this.#events = null;
  }
}

/** @param {import('./json.js').JsonObject} event  A firing. */
function notify(event) {
  const [rule, feed] = [asString(event.rule), asString(event.feed)];
  if (event.state !== 'on') return;
  // Several pages that are open show one.
  const tag = `${rule}-${feed}-${asNumber(event.began, 0)}`;
  new Notification(`${rule}: ${feed}`, { body: asString(event.message), tag });
}
