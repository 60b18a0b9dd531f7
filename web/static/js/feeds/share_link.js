// @ts-check
/** The link to a feed or a shared session, to copy or to scan, and who cannot open it. */

import { createElement, getElement, setText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { feedUrl } from '../common/routes.js';

const LOOPBACK = /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\])$/;
const LOOPBACK_NOTE = gettext(
  'Only this computer can open this link, because it leads to this computer’s own address. To share it, start the server with --host 0.0.0.0 and --https, and open this page at the computer’s network address.',
);
const TOKENS_NOTE = gettext('Others have to log in with a viewer token.');
const COPIED = gettext('Link copied.');
const NOT_COPIED = gettext('The browser blocked copying. Copy the link by hand.');

export function shareLinkElements() {
  return {
    section: getElement('share-link'),
    address: getElement('share-address'),
    copy: getElement('copy-link'),
    status: getElement('share-status'),
    note: getElement('share-note'),
    code: getElement('share-code', HTMLImageElement),
  };
}

export class ShareLink {
  #elements;
  #url = '';

  /** @param {ReturnType<typeof shareLinkElements>} elements */
  constructor(elements) {
    this.#elements = elements;
    elements.copy.addEventListener('click', () => this.#copy());
  }

  /** @param {boolean} needed  Whether the server has tokens. */
  set needsToken(needed) {
    setText(this.#elements.note, isLoopback() ? LOOPBACK_NOTE : needed ? TOKENS_NOTE : '');
  }

  /** @param {string} name  Of the feed or the shared session; empty for none. */
  show(name) {
    const { section, address, code, status } = this.#elements;
    section.hidden = name === '';
    if (name === '') return;
    const url = new URL(feedUrl(name), location.href);
    if (url.href === this.#url) return;
    this.#url = url.href;
    const link = createElement('a', '', url.href);
    link.href = feedUrl(name);
    link.target = '_blank';
    address.replaceChildren(link);
    setText(status, '');
    // A code that nobody else can use is not shown.
    code.hidden = isLoopback();
    if (code.hidden) return;
    // The server does not learn of TLS that a proxy ends which it does not trust.
    const query = new URLSearchParams({ scheme: url.protocol.slice(0, -1) });
    code.src = `api/feeds/${name}/qr.svg?${query}`;
  }

  async #copy() {
    const { status } = this.#elements;
    setText(status, '');
    try {
      await navigator.clipboard.writeText(this.#url);
      setText(status, COPIED);
    } catch {
      setText(status, NOT_COPIED);
    }
  }
}

function isLoopback() {
  return LOOPBACK.test(location.hostname);
}
