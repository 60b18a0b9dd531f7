// @ts-check
/** The rules API: rules with their settings, their firings, and the dry run. */

import {
  asArray,
  asNumber,
  asObject,
  asString,
  asStrings,
  asTime,
  countOrNull,
  pictureUrl,
  timeOrNull,
} from '../common/json.js';

/** @typedef {import('../common/json.js').JsonObject} JsonObject */
/**
 * @typedef {object} RuleSettings
 * @property {boolean} enabled
 * @property {string[]} feeds     All when empty.
 * @property {string[]} any
 * @property {string[]} all
 * @property {string[]} none
 * @property {string} look_in
 * @property {number} confidence  0 to 1.
 * @property {number} present_s
 * @property {number} absent_s
 * @property {number} cool_down_s
 * @property {string} hours
 * @property {string[]} days
 * @property {string} message
 * @property {string[]} targets
 */
/**
 * @typedef {object} Rule
 * @property {string} name
 * @property {boolean} isConfigured  In the configuration file, where alone it can be edited.
 * @property {RuleSettings} settings
 * @property {string[]} on           Feeds for which it is on.
 */
/**
 * @typedef {object} Firing
 * @property {string} rule
 * @property {string} feed
 * @property {Date} began
 * @property {Date | null} ended  Null while it lasts.
 * @property {string} message
 * @property {string} caption  That it fired on.
 * @property {string} picture  URL of the picture of that, relative to the page; empty for none.
 */
/**
 * @typedef {object} RuleList
 * @property {Rule[]} rules
 * @property {string} readOnly   Why rules cannot be edited; empty if they can.
 * @property {boolean} isStored  Whether firings are.
 */
/** @typedef {{firings: Firing[], before: number | null}} FiringPage  `before`: the next page. */
/**
 * @typedef {object} DryRun
 * @property {number} count
 * @property {Firing[]} firings   The first of them.
 * @property {number} suppressed  By the cool-down.
 * @property {Date | null} until  Where it ended early.
 */

export const DAYS = /** @type {const} */ (['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']);

/** @type {RuleSettings} */
export const DEFAULTS = {
  enabled: true,
  feeds: [],
  any: [],
  all: [],
  none: [],
  look_in: 'both',
  confidence: 0,
  present_s: 2,
  absent_s: 10,
  cool_down_s: 60,
  hours: '',
  days: [],
  message: '{caption}',
  targets: ['webhook', 'mqtt', 'apprise'],
};

/** @param {JsonObject} body @returns {RuleList} */
export function readRules(body) {
  return {
    rules: asArray(body.rules).map(asObject).map(readRule),
    readOnly: asString(body.read_only),
    isStored: body.history === true,
  };
}

/** @param {JsonObject} body @returns {FiringPage} */
export function readFirings(body) {
  return {
    firings: asArray(body.firings).map(asObject).map(readFiring),
    before: countOrNull(body.before),
  };
}

/** @param {JsonObject} body @returns {DryRun} */
export function readDryRun(body) {
  return {
    count: countOrNull(body.count) ?? 0,
    firings: asArray(body.firings).map(asObject).map(readFiring),
    suppressed: countOrNull(body.suppressed) ?? 0,
    until: timeOrNull(body.until),
  };
}

/** @param {JsonObject} value @returns {Firing} */
export function readFiring(value) {
  return {
    rule: asString(value.rule),
    feed: asString(value.feed),
    began: asTime(value.began),
    ended: timeOrNull(value.ended),
    message: asString(value.message),
    caption: asString(value.caption),
    picture: pictureUrl(value.picture),
  };
}

/** @param {JsonObject} value @returns {Rule} */
function readRule(value) {
  const settings = asObject(value.settings);
  return {
    name: asString(value.name),
    isConfigured: value.origin === 'configuration',
    settings: {
      enabled: settings.enabled === true,
      feeds: asStrings(settings.feeds),
      any: asStrings(settings.any),
      all: asStrings(settings.all),
      none: asStrings(settings.none),
      look_in: asString(settings.look_in),
      confidence: asNumber(settings.confidence, 0),
      present_s: asNumber(settings.present_s, DEFAULTS.present_s),
      absent_s: asNumber(settings.absent_s, DEFAULTS.absent_s),
      cool_down_s: asNumber(settings.cool_down_s, DEFAULTS.cool_down_s),
      hours: asString(settings.hours),
      days: asStrings(settings.days),
      message: asString(settings.message),
      targets: asStrings(settings.targets),
    },
    on: asStrings(value.on),
  };
}
