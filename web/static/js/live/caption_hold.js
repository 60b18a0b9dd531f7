// @ts-check
/**
 * Whether the caption on the page is held: while a word, an object or the confidence is pointed at,
 * focused or tapped, newer captions must not replace what the user looks at.
 */

/** Time to move the pointer from a word to the button that freezes its caption. */
const POINTER_GRACE_MS = 600;

/** @typedef {'pointer' | 'focus' | 'tap'} Reason */

export class CaptionHold {
  #areas;
  #followUps;
  #onRelease;
  #position = '';
  /** Whether the last event of the pointer was a movement: browsers also send one when a word appears
   *  under a pointer at rest, which is not pointing at it. */
  #isMoved = false;
  /** @type {Set<Reason>} */
  #reasons = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #release;

  /**
   * @param {HTMLElement[]} areas  Their buttons hold the caption.
   * @param {HTMLElement[]} followUps  Buttons about the held caption: they extend a hold, but do not
   *   begin one.
   * @param {() => void} onRelease
   */
  constructor(areas, followUps, onRelease) {
    this.#areas = areas;
    this.#followUps = followUps;
    this.#onRelease = onRelease;
    for (const area of areas) this.#listen(area);
    for (const button of followUps) this.#listenToFollowUp(button);
    document.addEventListener('pointermove', (event) => this.#noteMove(event), { capture: true });
    document.addEventListener('pointerdown', ({ target }) => {
      if (!this.#covers(target)) this.#remove('tap');
    });
  }

  get isHeld() {
    return this.#reasons.size > 0 || this.#release !== undefined;
  }

  /** Releases the caption, even while one of its parts has the pointer or the focus. */
  end() {
    this.#reasons.clear();
    clearTimeout(this.#release);
    this.#release = undefined;
    this.#onRelease();
  }

  /** @param {PointerEvent} event */
  #noteMove({ screenX, screenY }) {
    const position = `${screenX},${screenY}`;
    this.#isMoved = position !== this.#position;
    this.#position = position;
  }

  /** @param {HTMLElement} area */
  #listen(area) {
    area.addEventListener('pointermove', ({ target, pointerType }) => {
      // The pointer of a finger leaves when it is lifted; a tap holds until the next one elsewhere.
      if (pointerType !== 'touch' && this.#isMoved && isButton(target)) this.#add('pointer');
    });
    area.addEventListener('pointerleave', () => this.#remove('pointer', POINTER_GRACE_MS));
    area.addEventListener('focusin', ({ target }) => {
      // Not after a click, which leaves the focus where it was.
      if (isFocusVisible(target)) this.#add('focus');
    });
    area.addEventListener('focusout', () => this.#remove('focus'));
    area.addEventListener('pointerup', ({ target, pointerType }) => {
      if (pointerType === 'touch' && isButton(target)) this.#add('tap');
    });
    area.addEventListener('keydown', ({ key }) => {
      if (key === 'Escape') this.end();
    });
  }

  /** @param {HTMLElement} button */
  #listenToFollowUp(button) {
    button.addEventListener('pointerenter', () => this.isHeld && this.#add('pointer'));
    button.addEventListener('focus', () => this.isHeld && this.#add('focus'));
    button.addEventListener('pointerleave', () => this.#remove('pointer', POINTER_GRACE_MS));
    button.addEventListener('blur', () => this.#remove('focus'));
  }

  /** @param {Reason} reason */
  #add(reason) {
    clearTimeout(this.#release);
    this.#release = undefined;
    this.#reasons.add(reason);
  }

  /**
   * @param {Reason} reason
   * @param {number} [graceMs]  Before the caption is released. At least one task, since the focus is
   *   nowhere while it moves from one part to another.
   */
  #remove(reason, graceMs = 0) {
    if (!this.#reasons.delete(reason) || this.#reasons.size > 0) return;
    this.#release = setTimeout(() => this.end(), graceMs);
  }

  /** @param {EventTarget | null} target */
  #covers(target) {
    return (
      target instanceof Node &&
      [...this.#areas, ...this.#followUps].some((element) => element.contains(target))
    );
  }
}

/** @param {EventTarget | null} target */
function isButton(target) {
  return target instanceof Element && target.closest('button') !== null;
}

/** @param {EventTarget | null} target */
function isFocusVisible(target) {
  return target instanceof Element && target.matches(':focus-visible');
}
