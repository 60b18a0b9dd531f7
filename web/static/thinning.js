// @ts-check
/** Why a caption has no map: nobody asked for one, or the captioner had no time for it. */

/** @typedef {import('./protocol.js').Settings} Settings */
/** @typedef {import('./protocol.js').Thinning} Thinning */

/**
 * @param {Settings['explanations']} explanations  What was asked for.
 * @param {Thinning} thinning
 * @param {boolean} watches  Whether the stream is a feed's, which says what is computed of it.
 * @returns {string}  What comes less often than it was asked for; empty if nothing does.
 */
export function thinningText(explanations, { gradcam_every, saliency_every }, watches) {
  const thinned = [];
  if (explanations !== 'none' && gradcam_every !== 1) {
    thinned.push(`word maps ${rateText(gradcam_every)}`);
  }
  if (explanations === 'all' && saliency_every !== 1) {
    thinned.push(`pixel maps ${rateText(saliency_every)}`);
  }
  if (thinned.length === 0) return '';
  const why = watches
    ? 'This feed comes with fewer maps now'
    : 'Explanations are thinned: the captioner is busy';
  return `${why}; ${thinned.join(', ')}.`;
}

/**
 * @param {Settings['explanations']} explanations
 * @param {Thinning} thinning
 * @param {boolean} watches  Whether the stream is a feed's.
 * @returns {string}  Why a caption came without maps of its words.
 */
export function absenceText(explanations, thinning, watches) {
  if (explanations === 'none') return 'No map: explanations are switched off in the settings.';
  return thinningText(explanations, thinning, watches) || 'No map came with this caption.';
}

/** @param {number} every  Of how many captions one has it. */
function rateText(every) {
  if (every === 0) return 'for none';
  return every === 1 ? 'for every caption' : `for every ${ordinal(every)} caption`;
}

/** @param {number} count */
function ordinal(count) {
  const ending = { one: 'st', two: 'nd', few: 'rd', other: 'th' };
  const rule = new Intl.PluralRules('en', { type: 'ordinal' }).select(count);
  return `${count}${ending[/** @type {keyof typeof ending} */ (rule)]}`;
}
