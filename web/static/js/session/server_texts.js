// @ts-check
/**
 * Texts of the server that the page shows in its own language. The server's texts are in English;
 * those that are not listed here, such as errors with details, are shown as they are.
 */

import { englishText } from '../common/dom.js';
import { fill, gettextLater, translationOf } from '../common/i18n.js';

/** What differs from one text to the next: numbers, and words in quotation marks. */
const VARIABLE = /\d+|(?<=“)[^”]*(?=”)/g;

/** With a number as the placeholder of each variable part. */
const KNOWN = new Set([
  gettextLater('Attention (not an explanation)'),
  gettextLater('Cross-attention times gradient'),
  gettextLater('Grad-CAM'),
  gettextLater('Grad-CAM (total)'),
  gettextLater('HiResCAM'),
  gettextLater('Word map (Read-CAM)'),
  gettextLater('Integrated gradients'),
  gettextLater('Learned map (predicts RISE; not computed from this frame alone)'),
  gettextLater('Occlusion'),
  gettextLater('RISE'),
  gettextLater('Saliency'),
  gettextLater('SmoothGrad'),
  gettextLater('one pass through the decoder'),
  gettextLater('one pass through the decoder and its gradient'),
  gettextLater('one decoder step and its gradient'),
  gettextLater('{0} to {1} passes through the encoder and the decoder, and their gradients'),
  gettextLater('a live map of another method, and a small network'),
  gettextLater('{0} passes through the encoder and the decoder, once for all targets of a frame'),
  gettextLater('one pass through the encoder and the decoder, and its gradient'),
  gettextLater('{0} passes through the encoder and the decoder, and their gradients'),
  gettextLater('share of the attention'),
  gettextLater('logit'),
  gettextLater("share of the word's probability"),
  gettextLater('probability'),
  gettextLater('logit per grey level'),
  gettextLater('The server is busy. Saliency maps are off.'),
  gettextLater('The server is busy. Saliency maps and word maps are off.'),
  gettextLater('The server is busy. Captions come half as often, without maps.'),
  gettextLater(
    'The server is too busy to start new sessions. Captions come half as often, without maps.',
  ),
  gettextLater('A mistake, shown on purpose: this is the outline of a horse'),
  gettextLater('Computing the map'),
  gettextLater('Blanking regions'),
  gettextLater('Captioning with regions hidden'),
  gettextLater('Rough map from {0} of {1} masks'),
  gettextLater('Rough map from {0} of {1} windows'),
  gettextLater('Checking the word maps'),
  gettextLater('Writing the report'),
  gettextLater('Preparing'),
  gettextLater('Searching for the smallest change of each word'),
  gettextLater('Searching for the smallest change of the caption'),
  gettextLater('Adding or removing a word'),
  gettextLater('Comparing with harmless changes'),
  gettextLater('Comparing with the hardened model'),
  gettextLater('Comparing with random noise'),
  gettextLater('Drawing images'),
  gettextLater('Reading the concept bank'),
  gettextLater('Factorising the feature grid'),
  gettextLater('Scoring concepts of “{0}”'),
  gettextLater('Captioning'),
  gettextLater('Computing gradients of “{0}”'),
  gettextLater('Segmenting images'),
  gettextLater('Clustering segments that look alike'),
  gettextLater('Testing the concepts'),
]);

/**
 * @param {string} text  Of the server.
 * @returns {string}  In the language of the page, if it is known.
 */
export function serverText(text) {
  /** @type {Record<string, string>} */
  const values = {};
  const message = text.replace(VARIABLE, (part) => {
    const name = String(Object.keys(values).length);
    values[name] = part;
    return `{${name}}`;
  });
  const translation = KNOWN.has(message) ? translationOf(message) : null;
  return translation === null ? text : fill(translation, values);
}

/**
 * @param {string} text  Of the server.
 * @returns {Node | string}  The same, marked as English if it is not known.
 */
export function serverNode(text) {
  const translated = serverText(text);
  return translated === text && text !== '' ? englishText(text) : translated;
}
