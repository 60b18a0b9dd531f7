// @ts-check
/**
 * The messages of the data channel "captions": JSON text, one object a message.
 * What comes from the server is checked here, once, so that nothing after this file meets
 * a missing field; what is malformed or of an unknown type is dropped.
 */

import {
  readChecked,
  readError,
  readExplanation,
  readFrozen,
  readPong,
  readProgress,
  readResult,
} from './answers.js';
import { readCaption } from './caption_message.js';
import { readHello, readStats } from './greeting.js';
import { isObject } from './json.js';

/** @typedef {import('./json.js').Json} Json */
/** @typedef {import('./answers.js').Advance} Advance */
/** @typedef {import('./answers.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./answers.js').Checked} Checked */
/** @typedef {import('./answers.js').Explanation} Explanation */
/** @typedef {import('./answers.js').Frozen} Frozen */
/** @typedef {import('./answers.js').Pong} Pong */
/** @typedef {import('./answers.js').Progress} Progress */
/** @typedef {import('./answers.js').Result} Result */
/** @typedef {import('./answers.js').ServerError} ServerError */
/** @typedef {import('./answers.js').Target} Target */
/** @typedef {import('./caption_message.js').Alternative} Alternative */
/** @typedef {import('./caption_message.js').Caption} Caption */
/** @typedef {import('./caption_message.js').Tag} Tag */
/** @typedef {import('./caption_message.js').Word} Word */
/** @typedef {import('./greeting.js').Captioner} Captioner */
/** @typedef {import('./greeting.js').Explanations} Explanations */
/** @typedef {import('./greeting.js').Hello} Hello */
/** @typedef {import('./greeting.js').Kind} Kind */
/** @typedef {import('./greeting.js').Load} Load */
/** @typedef {import('./greeting.js').Method} Method */
/** @typedef {import('./greeting.js').Model} Model */
/** @typedef {import('./greeting.js').Overlay} Overlay */
/** @typedef {import('./greeting.js').Settings} Settings */
/** @typedef {import('./greeting.js').Stats} Stats */
/** @typedef {import('./greeting.js').Thinning} Thinning */
/** @typedef {import('./greeting.js').Watching} Watching */
/** @typedef {import('./signal.js').Signal} Signal */
/**
 * @typedef {Hello | Caption | Frozen | Progress | Explanation | Checked | Result | Stats
 *   | ServerError | Pong} ServerMessage
 */

/** @type {Map<unknown, (message: Json) => ServerMessage | null>} */
const READERS = new Map(
  /** @type {[unknown, (message: Json) => ServerMessage | null][]} */ ([
    ['hello', readHello],
    ['caption', readCaption],
    ['frozen', readFrozen],
    ['progress', readProgress],
    ['explanation', readExplanation],
    ['checked', readChecked],
    ['result', readResult],
    ['stats', readStats],
    ['error', readError],
    ['pong', readPong],
  ]),
);

/**
 * @param {unknown} data  What the data channel delivered.
 * @returns {ServerMessage | null}  Null when it is malformed or of an unknown type.
 */
export function readMessage(data) {
  if (typeof data !== 'string') return null;
  let message;
  try {
    message = JSON.parse(data);
  } catch {
    return null;
  }
  if (!isObject(message)) return null;
  const reader = READERS.get(message.type);
  return reader ? reader(message) : null;
}
