// @ts-check
/** DOM helpers: look up and create elements, update text, move focus by arrow keys. */

/**
 * Returns the element with this id.
 *
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [type]  The expected element class.
 * @returns {E}
 * @throws {Error}  If the page has no such element of that class.
 */
export function getElement(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof (type ?? HTMLElement))) throw new Error(`The page has no ${id}.`);
  return /** @type {E} */ (found);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} className  Empty for none.
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function createElement(tag, className, ...children) {
  const created = document.createElement(tag);
  if (className !== '') created.className = className;
  created.append(...children);
  return created;
}

/**
 * @param {string} label
 * @param {string} className
 */
export function createButton(label, className) {
  const button = createElement('button', className, label);
  button.type = 'button';
  return button;
}

/** Creates text in English, as captions are in every language of the page. @param {string} text */
export function englishText(text) {
  const element = createElement('span', '', text);
  element.lang = 'en';
  return element;
}

/**
 * Sets an element's contents only if their text differs, as `setText` does.
 *
 * @param {HTMLElement} element
 * @param {(Node | string)[]} nodes
 */
export function setNodes(element, nodes) {
  const text = nodes.map((node) => (typeof node === 'string' ? node : node.textContent)).join('');
  if (element.textContent !== text) element.replaceChildren(...nodes);
}

/** Creates text that only screen readers get. @param {string} text */
export function screenReaderText(text) {
  return createElement('span', 'visually-hidden', text);
}

/**
 * Sets an element's text only if it differs: screen readers announce every write to a live region.
 *
 * @param {HTMLElement} element
 * @param {string | null} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Returns the index that an arrow key, Home or End moves the focus to in a group with one tab stop.
 *
 * @param {string} key  Of the keyboard event.
 * @param {number} index  The item that has the focus.
 * @param {number} count  Items in the group.
 * @param {object} [options]
 * @param {boolean} [options.vertical]  Whether the up and down arrows move the focus too.
 * @returns {number | null}  Null for any other key.
 */
export function indexAfterKey(key, index, count, { vertical = false } = {}) {
  const clamped = (/** @type {number} */ target) => Math.min(count - 1, Math.max(0, target));
  switch (key) {
    case 'ArrowLeft':
      return clamped(index - 1);
    case 'ArrowRight':
      return clamped(index + 1);
    case 'ArrowUp':
      return vertical ? clamped(index - 1) : null;
    case 'ArrowDown':
      return vertical ? clamped(index + 1) : null;
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    default:
      return null;
  }
}

/**
 * Moves the focus along a row of buttons with one tab stop, by the arrow keys, Home and End.
 *
 * @param {KeyboardEvent} event
 * @param {HTMLButtonElement[]} buttons
 */
export function moveFocus(event, buttons) {
  const index = buttons.findIndex((button) => button === event.target);
  const next = indexAfterKey(event.key, index, buttons.length);
  if (index < 0 || next === null) return;
  event.preventDefault();
  setTabStop(buttons, next);
  buttons[next]?.focus();
}

/**
 * Makes one item of a group the only one in the tab order.
 *
 * @param {HTMLElement[]} items
 * @param {number} stop
 */
export function setTabStop(items, stop) {
  items.forEach((item, index) => (item.tabIndex = index === stop ? 0 : -1));
}
