// @ts-check
/** What of the history is wanted: words, a feed, a time; as the address has it and the server. */

/**
 * Times as a field of type `datetime-local` has them: such as 2026-01-31T09:00, of this device.
 *
 * @typedef {{words: string, feed: string, from: string, to: string}} Sought
 */

const KEYS = /** @type {const} */ ({ words: 'q', feed: 'feed', from: 'from', to: 'to' });

/** @returns {Sought}  What the address says. */
export function addressedSought() {
  const query = new URLSearchParams(location.search);
  const of = (/** @type {string} */ key) => query.get(key) ?? '';
  return { words: of('q'), feed: of('feed'), from: of('from'), to: of('to') };
}

/** Makes the address say it. @param {Sought} sought */
export function showAddressOf(sought) {
  const parts = Object.entries(KEYS).flatMap(([name, key]) => {
    const value = sought[/** @type {keyof Sought} */ (name)];
    return value === '' ? [] : [`${key}=${encodeURIComponent(value)}`];
  });
  const address = `/?${['history', ...parts].join('&')}`;
  if (location.pathname + location.search !== address) history.pushState(null, '', address);
}

/**
 * @param {'search' | 'timeline' | 'export'} what
 * @param {Sought} sought
 * @param {Record<string, string | number>} more
 * @returns {string}  Where the server answers it.
 */
export function apiAddress(what, sought, more) {
  const query = queryOf(sought);
  for (const [name, value] of Object.entries(more)) query.set(name, String(value));
  return `/api/history/${what}?${query}`;
}

/**
 * @param {Sought} sought
 * @returns {string}  Where all of that is deleted.
 */
export function deletionAddress(sought) {
  const query = queryOf(sought);
  return `/api/history?${query.size > 0 ? query : 'all=true'}`;
}

/** @param {Sought} sought */
function queryOf({ words, feed, from, to }) {
  const query = new URLSearchParams();
  if (words.trim() !== '') query.set('q', words);
  if (feed !== '') query.set('feed', feed);
  for (const [name, time] of [['from', from], ['to', to]]) {
    const seconds = Date.parse(time) / 1000;
    if (Number.isFinite(seconds)) query.set(name, String(seconds));
  }
  return query;
}

/**
 * @param {Date} time
 * @returns {string}  As a field of type `datetime-local` has it, which knows no parts of a second.
 */
export function localTime(time) {
  const of = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const day = [time.getFullYear(), of(time.getMonth() + 1), of(time.getDate())].join('-');
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(of).join(':');
  return `${day}T${clock}`;
}
