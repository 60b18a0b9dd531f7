// @ts-check
/** What is looked at closely in a frozen picture: a word, by a method, beside another, checked. */

import { percent } from './certainty.js';
import { checkText, CheckView } from './check.js';
import { strengthAmong } from './legend.js';
import { MethodPicker } from './methods.js';
import { Panel } from './panel.js';
import { refusalText } from './refusals.js';
import { whereText } from './whereabouts.js';

/** @typedef {import('./explained.js').Explained} Explained */
/** @typedef {import('./multiples.js').Subject} Subject */
/** @typedef {import('./pane.js').Shape} Shape */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').Target} Target */

const NO_CHECK = 'Words are checked, not objects, contrasts or the caption as a whole.';

export class Study {
  #parts;
  #picker;
  #check;
  #tell;
  /** @type {Explained | null} */
  #explained = null;
  /** @type {Subject | null} */
  #subject = null;
  /** What the word is contrasted with, if anything. @type {string | null} */
  #rival = null;
  /** The chosen method's, and the one beside it. @type {Panel[]} */
  #panels = [];
  #asking = new AbortController();

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.panels
   * @param {HTMLElement} parts.chosen    About what is looked at.
   * @param {HTMLElement} parts.rivals    Holds what it may be contrasted with.
   * @param {HTMLElement} parts.rivalSet  Around it.
   * @param {HTMLElement} parts.rivalTitle
   * @param {ConstructorParameters<typeof MethodPicker>[0]} parts.picker
   * @param {ConstructorParameters<typeof CheckView>[0]} parts.check
   * @param {(sentence: string) => void} tell  For screen readers.
   */
  constructor(parts, tell) {
    this.#parts = parts;
    this.#tell = tell;
    this.#picker = new MethodPicker(parts.picker, () => this.#show(true));
    this.#check = new CheckView(parts.check);
  }

  /**
   * @param {Explained} explained
   * @param {Method[]} methods
   * @param {Shape} shape
   */
  begin(explained, methods, shape) {
    this.#explained = explained;
    this.#picker.offer(methods);
    this.#panels = [new Panel(shape), new Panel(shape)];
    this.#parts.panels.replaceChildren(...this.#panels.map(({ element }) => element));
  }

  /** Gives up what is being asked. */
  end() {
    this.#asking.abort();
    this.#explained = this.#subject = null;
    this.#panels = [];
    this.#parts.panels.replaceChildren();
  }

  /** @param {HTMLImageElement} image */
  set picture(image) {
    for (const panel of this.#panels) panel.picture = image;
  }

  /** @param {Subject} subject */
  set subject(subject) {
    this.#subject = subject;
    this.#rival = null;
    this.#parts.chosen.textContent = aboutText(subject);
    this.#offerRivals();
    this.#show(false);
  }

  #offerRivals() {
    const { rivalSet, rivalTitle, rivals } = this.#parts;
    const { name, alternatives } = this.#subject ?? { name: '', alternatives: [] };
    rivalSet.hidden = alternatives.length === 0;
    rivalTitle.textContent = `Why “${name}”`;
    const choices = [
      newRival('at all', null),
      ...alternatives.map(({ text, prob }) => newRival(`not “${text}” ${percent(prob)}`, text)),
    ];
    for (const { button, rival } of choices) {
      button.setAttribute('aria-pressed', String(rival === this.#rival));
      button.addEventListener('click', () => {
        this.#rival = rival;
        for (const other of choices) {
          other.button.setAttribute('aria-pressed', String(other.rival === rival));
        }
        this.#show(true);
      });
    }
    rivals.replaceChildren(...choices.map(({ button }) => button));
  }

  /** @returns {Target} */
  get #target() {
    const { target } = /** @type {Subject} */ (this.#subject);
    return this.#rival === null ? target : { ...target, kind: 'contrast', text: this.#rival };
  }

  get #name() {
    const { name, target } = /** @type {Subject} */ (this.#subject);
    if (target.kind === 'caption') return 'the whole caption';
    return this.#rival === null ? `“${name}”` : `“${name}” and not “${this.#rival}”`;
  }

  /** @param {boolean} wanted  Whether it is to be computed however long that takes. */
  #show(wanted) {
    if (!this.#subject) return;
    this.#asking.abort();
    this.#asking = new AbortController();
    this.#picker.restrict(this.#target.kind);
    const { chosen, beside } = this.#picker;
    this.#panels[1].element.hidden = beside === undefined;
    this.#parts.panels.toggleAttribute('data-beside', beside !== undefined);
    this.#check.say(this.#target.kind === 'word' ? 'The check comes after the map.' : NO_CHECK);
    if (!chosen) this.#panels[0].showOffer('This captioner cannot explain it.', '', () => {});
    else this.#fill(this.#panels[0], chosen, wanted);
    if (beside) this.#fill(this.#panels[1], beside, wanted);
  }

  /**
   * @param {Panel} panel
   * @param {Method} method
   * @param {boolean} wanted
   */
  async #fill(panel, method, wanted) {
    const explained = /** @type {Explained} */ (this.#explained);
    const [target, name, signal] = [this.#target, this.#name, this.#asking.signal];
    const compute = () => this.#fill(panel, method, true);
    if (!wanted && !explained.known(method.name, target) && !explained.isQuick(method.name)) {
      panel.showOffer(`${method.title}: ${method.cost}.`, `Compute it for ${name}`, compute);
      return;
    }
    const own = new AbortController();
    signal.addEventListener('abort', () => own.abort());
    try {
      const known = explained.known(method.name, target);
      if (!known) panel.showWork(method, () => own.abort());
      const map =
        known ??
        (await explained.ask(method.name, target, own.signal, (progress) =>
          panel.setProgress(method, progress),
        ));
      if (signal.aborted) return;
      const words = target.kind === 'word' ? explained.ofAllWords(method.name) : [];
      panel.showMap(method, name, map, strengthAmong(map, words));
      if (panel !== this.#panels[0]) return;
      this.#tell(`${name}: ${whereText(map)}.`);
      this.#offerCheck(method, target, signal);
    } catch (problem) {
      if (signal.aborted) return;
      const { text, again } = refusalText(problem);
      panel.showOffer(text, again ? `Compute it for ${name}` : '', compute);
      this.#tell(text);
    }
  }

  /**
   * @param {Method} method
   * @param {Target} target  Whose map is shown.
   * @param {AbortSignal} signal
   */
  #offerCheck(method, { kind, index }, signal) {
    if (kind !== 'word' || index === undefined) return;
    const check = () => this.#runCheck(method, index, signal);
    if (this.#explained?.isQuick(method.name)) check();
    else this.#check.say('The map is computed again for it.', 'Check this map', check);
  }

  /**
   * @param {Method} method
   * @param {number} index
   * @param {AbortSignal} signal
   */
  async #runCheck(method, index, signal) {
    const [explained, name] = [/** @type {Explained} */ (this.#explained), this.#subject?.name ?? ''];
    this.#check.say('Blanking the region, and others of its size…');
    try {
      const checked = await explained.check(method.name, index, signal);
      if (signal.aborted) return;
      this.#check.show(name, checked);
      this.#tell(checkText(name, checked));
    } catch (problem) {
      if (signal.aborted) return;
      const { text, again } = refusalText(problem);
      this.#check.say(text, again ? 'Check this map' : '', () =>
        this.#runCheck(method, index, signal),
      );
    }
  }
}

/** @param {Subject} subject */
function aboutText({ target, name, prob }) {
  if (prob === null) return 'The caption as a whole';
  return `${target.kind === 'tag' ? 'The object ' : ''}“${name}”, ${percent(prob)} sure`;
}

/**
 * @param {string} label
 * @param {string | null} rival
 */
function newRival(label, rival) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'pick';
  button.textContent = label;
  return { button, rival };
}
