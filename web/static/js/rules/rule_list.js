// @ts-check
/** The rules as a list: what each looks for, whether it is on, and buttons to edit it. */

import { createButton, createElement } from '../common/dom.js';
import { durationText, listText, percent } from '../common/format.js';
import { gettext, LOCALE } from '../common/i18n.js';
import { DAYS } from './rules_api.js';

/** @typedef {import('./rules_api.js').Rule} Rule */
/** @typedef {import('./rules_api.js').RuleSettings} RuleSettings */

const WEEKDAY = new Intl.DateTimeFormat(LOCALE, { weekday: 'short', timeZone: 'UTC' });

/**
 * @param {Rule} rule
 * @param {(feed: string) => string} titleOf  The title of a feed.
 * @param {{edit: () => void, delete: () => void} | null} actions  Null if it cannot be edited.
 */
export function ruleItem(rule, titleOf, actions) {
  const heading = createElement('h2', '', rule.name);
  const state = createElement('p', 'rule-state', stateText(rule, titleOf));
  const item = createElement('li', 'rule', heading, state);
  item.toggleAttribute('data-on', rule.on.length > 0);
  for (const line of descriptions(rule.settings, titleOf)) {
    item.append(createElement('p', 'rule-line', ...line));
  }
  if (rule.isConfigured) {
    const where = gettext('From the configuration file, where it can be edited.');
    item.append(createElement('p', 'about', where));
  } else if (actions !== null) {
    const edit = createButton(gettext('Edit'), 'link-button');
    const remove = createButton(gettext('Delete…'), 'link-button');
    edit.setAttribute('aria-label', gettext('Edit {name}', { name: rule.name }));
    remove.setAttribute('aria-label', gettext('Delete {name}', { name: rule.name }));
    edit.addEventListener('click', actions.edit);
    remove.addEventListener('click', actions.delete);
    item.append(createElement('p', 'rule-actions', edit, remove));
  }
  return item;
}

/** @param {string} day  Such as "mon". @returns {string}  In the language of the page. */
export function dayText(day) {
  // 1 January 2024 was a Monday.
  return WEEKDAY.format(new Date(Date.UTC(2024, 0, 1 + DAYS.findIndex((each) => each === day))));
}

/**
 * @param {Rule} rule
 * @param {(feed: string) => string} titleOf
 */
function stateText({ settings, on }, titleOf) {
  if (!settings.enabled) return gettext('Not in use');
  if (on.length === 0) return gettext('Off');
  return gettext('On: {feeds}', { feeds: listText(on.map(titleOf)) });
}

/**
 * @param {RuleSettings} settings
 * @param {(feed: string) => string} titleOf
 * @returns {(Node | string)[][]}
 */
function descriptions(settings, titleOf) {
  const words = [
    wordsLine(gettext('any of {words}'), settings.any),
    wordsLine(gettext('all of {words}'), settings.all),
    wordsLine(gettext('none of {words}'), settings.none),
  ].filter((line) => line.length > 0);
  const feeds =
    settings.feeds.length === 0 ? gettext('all feeds') : listText(settings.feeds.map(titleOf));
  const facts = [feeds];
  if (settings.confidence > 0) {
    facts.push(gettext('at least {percent} confidence', { percent: percent(settings.confidence) }));
  }
  if (settings.hours !== '') facts.push(settings.hours);
  if (settings.days.length > 0) facts.push(listText(settings.days.map(dayText)));
  if (settings.present_s === 0) facts.push(gettext('fires at once'));
  else
    facts.push(gettext('fires after {duration}', { duration: durationText(settings.present_s) }));
  return [
    words.flatMap((line, index) => (index === 0 ? line : [' · ', ...line])),
    [facts.join(' · ')],
  ];
}

/**
 * @param {string} text  Translated, with the placeholder `{words}`.
 * @param {string[]} words
 * @returns {(Node | string)[]}
 */
function wordsLine(text, words) {
  if (words.length === 0) return [];
  const element = createElement('b', '', words.join(', '));
  element.lang = 'en';
  const [before = '', after = ''] = text.split('{words}');
  return [before, element, after].filter((part) => part !== '');
}
