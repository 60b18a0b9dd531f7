// @ts-check
/** The page of rules: what to be told of, past firings, and notifications by this browser. */

import { errorNodes, showAccount } from '../common/account.js';
import { englishText, getElement } from '../common/dom.js';
import { sentence } from '../common/format.js';
import { deleteJson, getJson, HttpError } from '../common/http.js';
import { gettext } from '../common/i18n.js';
import { asArray, asObject, parseJson } from '../common/json.js';
import { RuleNotifications } from '../common/rule_notifications.js';
import { readFeed } from '../feeds/feed.js';
import { PictureDialog } from '../history/picture_dialog.js';
import { firingItem } from './firing_list.js';
import { RuleEditor } from './rule_editor.js';
import { ruleItem } from './rule_list.js';
import { readFirings, readRules } from './rules_api.js';

/** @typedef {import('./rules_api.js').Firing} Firing */
/** @typedef {import('./rules_api.js').Rule} Rule */

const POLL_MS = 2_000;
const PAGE_SIZE = 50;

const list = getElement('rules');
const firingList = getElement('firing-list');
const errorLine = getElement('trouble');
const addButton = getElement('add', HTMLButtonElement);
const olderButton = getElement('older', HTMLButtonElement);
const deletion = getElement('deletion', HTMLDialogElement);
const notifyBox = getElement('notify', HTMLInputElement);

/** Of the feeds, by name. @type {Map<string, string>} */
const titles = new Map();
const titleOf = (/** @type {string} */ feed) => titles.get(feed) ?? feed;
const editor = new RuleEditor(titleOf, load);
const pictureDialog = new PictureDialog();
const notifications = new RuleNotifications();
let isAdmin = false;
let toDelete = '';
/** What the lists show, so that polling does not take the focus from their buttons. */
let shown = '';
let shownFirings = '';
/** The cursor of the next page; null if there is none. @type {number | null} */
let nextPage = null;

async function load() {
  try {
    const body = await getJson('api/rules');
    const { rules, readOnly, isStored } = readRules(body);
    const canEdit = isAdmin && readOnly === '';
    errorLine.textContent = '';
    addButton.hidden = !canEdit;
    getElement('no-rules').hidden = rules.length > 0;
    const note = getElement('read-only');
    note.hidden = !isAdmin || readOnly === '';
    note.replaceChildren(
      gettext('Rules cannot be edited on this page:'),
      ' ',
      englishText(sentence(readOnly)),
    );
    editor.prepare([...titles.keys()], isStored);
    const state = JSON.stringify([rules, canEdit, [...titles]]);
    if (state !== shown) {
      list.replaceChildren(
        ...rules.map((rule) => ruleItem(rule, titleOf, actionsOf(rule, canEdit))),
      );
      shown = state;
    }
    if (isStored) await loadFirings();
  } catch (error) {
    showError(error);
  }
}

/**
 * @param {Rule} rule
 * @param {boolean} canEdit
 */
function actionsOf(rule, canEdit) {
  if (!canEdit) return null;
  return {
    edit: () => editor.open(rule.name, rule.settings),
    delete: () => {
      toDelete = rule.name;
      const name = rule.name;
      getElement('deletion-heading').textContent = gettext('Delete the rule {name}?', { name });
      deletion.returnValue = 'keep';
      deletion.showModal();
    },
  };
}

/** Loads the newest firings, unless older ones were loaded, too. */
async function loadFirings() {
  if (firingList.childElementCount > PAGE_SIZE) return;
  const { firings, before } = readFirings(await getJson(`api/firings?limit=${PAGE_SIZE}`));
  const state = JSON.stringify([firings, [...titles]]);
  if (state !== shownFirings) {
    firingList.replaceChildren();
    addFirings(firings);
    shownFirings = state;
  }
  nextPage = before;
  olderButton.hidden = nextPage === null;
  getElement('no-firings').hidden = firings.length > 0;
  getElement('firings').hidden = false;
}

/** @param {Firing[]} firings */
function addFirings(firings) {
  firingList.append(
    ...firings.map((firing) => {
      const { picture, caption: text, began: from, ended } = firing;
      const title = titleOf(firing.feed);
      return firingItem(firing, title, () => {
        void pictureDialog.show({ picture, text, from, to: ended ?? from }, title);
      });
    }),
  );
  const hasPictures = firingList.querySelector('.picture-button') !== null;
  firingList.classList.toggle('has-pictures', hasPictures);
}

async function loadOlder() {
  if (nextPage === null) return;
  try {
    const path = `api/firings?limit=${PAGE_SIZE}&before=${nextPage}`;
    const { firings, before } = readFirings(await getJson(path));
    addFirings(firings);
    nextPage = before;
    olderButton.hidden = nextPage === null;
  } catch (error) {
    showError(error);
  }
}

async function loadTitles() {
  const { feeds } = await getJson('api/feeds').catch(() => asObject(parseJson('{}')));
  for (const { name, title } of asArray(feeds).flatMap(readFeed)) titles.set(name, title);
}

/** @param {unknown} error */
function showError(error) {
  if (!(error instanceof HttpError)) throw error;
  errorLine.replaceChildren(...errorNodes(error));
}

addButton.addEventListener('click', () => editor.open(''));
olderButton.addEventListener('click', loadOlder);
deletion.addEventListener('close', async () => {
  if (deletion.returnValue !== 'delete') return;
  try {
    await deleteJson(`api/rules/${encodeURIComponent(toDelete)}`);
    await load();
  } catch (error) {
    showError(error);
  }
});
getElement('notifications').hidden = !RuleNotifications.isSupported;
notifyBox.checked = notifications.isOn;
notifyBox.addEventListener('change', async () => {
  const problem = getElement('notify-problem');
  problem.textContent = '';
  if (!notifyBox.checked) {
    notifications.turnOff();
    return;
  }
  notifyBox.checked = await notifications.turnOn();
  if (!notifyBox.checked) {
    problem.textContent = gettext(
      'Notifications are blocked. Allow them in the browser’s settings for this site.',
    );
  }
});
notifications.start();
isAdmin = (await showAccount(getElement('account'))) === 'admin';
await loadTitles();
await load();
setInterval(() => {
  if (!document.hidden) load();
}, POLL_MS);
