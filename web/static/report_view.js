// @ts-check
/** The report of an analysis: opened, downloaded, and seen in place. */

import { make } from './element.js';

/**
 * @param {string} title   Of the analysis.
 * @param {string} report  Path of an HTML page.
 * @param {string} data    Path of JSON.
 */
export function reportElements(title, report, data) {
  const open = make('a', 'button', 'Open the report', opensNew());
  open.href = report;
  open.target = '_blank';
  open.rel = 'noopener';
  const download = make('a', 'button', 'Download the figures');
  download.href = data;
  download.download = 'report.json';
  // Neither scripts nor forms nor an origin of its own: it is read and no more.
  const frame = make('iframe', 'report');
  frame.setAttribute('sandbox', '');
  frame.title = `The report: ${title}`;
  frame.loading = 'lazy';
  frame.src = report;
  return [make('p', 'actions', open, download), frame];
}

function opensNew() {
  return make('span', 'visually-hidden', ' (in a new tab)');
}
