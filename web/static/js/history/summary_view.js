// @ts-check
/** The summary of past captions: which objects they stated, for how long, and what changed. */

import { createElement, englishText } from '../common/dom.js';
import { durationText, timeElement, timeRange } from '../common/format.js';
import { getJson, HttpError } from '../common/http.js';
import { gettext, gettextNodes, LOCALE, ngettext } from '../common/i18n.js';
import { queryUrl, localTime, readSummaries, summaryUrl } from './history_api.js';
import { summaryRange } from './time_ranges.js';

/** @typedef {import('./history_api.js').Query} Query */
/** @typedef {import('./history_api.js').Summary} Summary */
/** @typedef {import('./history_api.js').FeedSummary} FeedSummary */
/** @typedef {import('./history_api.js').StatedObject} StatedObject */

const PERIOD = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
/** Objects in the line of an hour. */
const OBJECTS_OF_HOUR = 4;

export class SummaryView {
  #details;
  #period;
  #container;
  /** @type {Query} */
  #query = { words: '', feed: '', from: '', to: '', match: '' };
  #titles;
  #requests = new AbortController();
  /** Whether the summary is that of the query. */
  #isLoaded = false;

  /**
   * @param {object} elements
   * @param {HTMLDetailsElement} elements.details  It is only loaded while this is open.
   * @param {HTMLElement} elements.period
   * @param {HTMLElement} elements.container
   * @param {Map<string, string>} titles  Of the feeds, by name.
   */
  constructor({ details, period, container }, titles) {
    this.#details = details;
    this.#period = period;
    this.#container = container;
    this.#titles = titles;
    details.addEventListener('toggle', () => this.#load());
  }

  /** @param {Query} query  Of which only feed and time count. */
  update(query) {
    this.#query = query;
    this.#isLoaded = false;
    this.#load();
  }

  async #load() {
    if (!this.#details.open || this.#isLoaded) return;
    this.#isLoaded = true;
    this.#requests.abort();
    this.#requests = new AbortController();
    const { signal } = this.#requests;
    const range = summaryRange(this.#query);
    if (range === null) {
      this.#show(gettext('Choose at most 8 days for a summary.'));
      return;
    }
    const { from, to, byHour } = range;
    this.#period.textContent = PERIOD.formatRange(from, to);
    try {
      const body = await getJson(summaryUrl(this.#query.feed, range), signal);
      signal.throwIfAborted();
      const feeds = readSummaries(body);
      this.#container.replaceChildren(...feeds.map((feed) => this.#feedElement(feed, byHour)));
      if (feeds.length === 0) this.#show(gettext('No captions at this time.'));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof HttpError)) throw error;
      this.#isLoaded = false;
      this.#show(error.node);
    }
  }

  /** @param {Node | string} message  In place of a summary. */
  #show(message) {
    this.#container.replaceChildren(createElement('p', '', message));
  }

  /**
   * @param {FeedSummary} feed
   * @param {boolean} byHour
   */
  #feedElement(feed, byHour) {
    const section = createElement(
      'section',
      'feed-summary',
      createElement('h3', '', this.#titles.get(feed.name) ?? feed.name),
      createElement('p', 'about', extentText(feed)),
    );
    if (feed.objects.length > 0) section.append(objectsTable(feed));
    if (feed.changes.length > 0) section.append(...changesList(feed));
    if (byHour && feed.hours.length > 0) section.append(...hoursList(feed));
    return section;
  }
}

/** @param {Summary} summary */
function extentText({ captions, captionedS, unsureS, blankS, uncalibratedS }) {
  const parts = [
    captionedS < 1
      ? ngettext('{count} caption', '{count} captions', captions)
      : gettext('Captions for {duration}', { duration: durationText(captionedS) }),
  ];
  if (unsureS >= 1)
    parts.push(gettext('not sure for {duration}', { duration: durationText(unsureS) }));
  if (blankS >= 1) parts.push(gettext('blank for {duration}', { duration: durationText(blankS) }));
  if (uncalibratedS >= 1) {
    const duration = durationText(uncalibratedS);
    parts.push(gettext('without a confidence for {duration}', { duration }));
  }
  return parts.join(' · ');
}

/** @param {StatedObject} object */
function objectExtent({ seconds, captions }) {
  return seconds < 1
    ? ngettext('{count} caption', '{count} captions', captions)
    : durationText(seconds);
}

/** @param {Summary} summary */
function objectsTable({ objects, moreObjects }) {
  const head = createElement(
    'tr',
    '',
    ...[gettext('Object'), gettext('Stated for'), gettext('Times'), gettext('First and last')].map(
      (label) => {
        const cell = createElement('th', '', label);
        cell.scope = 'col';
        return cell;
      },
    ),
  );
  const rows = objects.map((object) => {
    const name = createElement('th', '', englishText(object.text));
    name.scope = 'row';
    return createElement(
      'tr',
      '',
      name,
      createElement('td', '', objectExtent(object)),
      createElement('td', '', String(object.times)),
      createElement('td', '', ...timeRange(object.first, object.last)),
    );
  });
  const table = createElement(
    'table',
    'stated-objects',
    createElement('thead', '', head),
    createElement('tbody', '', ...rows),
  );
  if (moreObjects > 0) {
    const more = gettext('and {count} more', { count: moreObjects });
    table.append(createElement('caption', 'about', more));
  }
  return table;
}

/** @param {Summary} summary */
function changesList({ changes, moreChanges }) {
  const items = changes.map(({ at, appeared, gone }) => {
    const item = createElement('li', '', timeElement(at), ' ');
    if (appeared.length > 0) {
      item.append(...gettextNodes('Appeared: {objects}', { objects: englishList(appeared) }));
    }
    if (appeared.length > 0 && gone.length > 0) item.append(' · ');
    if (gone.length > 0) {
      item.append(...gettextNodes('Gone: {objects}', { objects: englishList(gone) }));
    }
    return item;
  });
  const heading = createElement('h4', '', gettext('Changes'));
  const list = createElement('ol', 'changes', ...items);
  if (moreChanges === 0) return [heading, list];
  const text = ngettext(
    '{count} earlier change is not shown.',
    '{count} earlier changes are not shown.',
    moreChanges,
  );
  return [heading, createElement('p', 'about', text), list];
}

/** @param {FeedSummary} feed */
function hoursList({ name, hours }) {
  const items = hours.map(({ from, to, objects }) => {
    const link = createElement('a', 'times', ...timeRange(from, to));
    const range = { from: localTime(from), to: localTime(to) };
    link.href = queryUrl({ words: '', feed: name, ...range, match: '' });
    const shown = objects
      .slice(0, OBJECTS_OF_HOUR)
      .flatMap((object, index) => [
        index === 0 ? '' : ', ',
        englishText(object.text),
        ` ${objectExtent(object)}`,
      ]);
    return createElement('li', '', link, ' ', createElement('span', '', ...shown));
  });
  return [
    createElement('h4', '', gettext('By hour')),
    createElement('ol', 'summary-hours', ...items),
  ];
}

/** @param {string[]} words */
function englishList(words) {
  return englishText(words.join(', '));
}
