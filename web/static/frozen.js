// @ts-check
/** The frozen view: one caption and the exact picture that it speaks of, to be studied. */

import { AnalysesView } from './analyses_view.js';
import { confidenceText } from './certainty.js';
import { Explained } from './explained.js';
import { strengthAmong } from './legend.js';
import { Multiples } from './multiples.js';
import { Refusal } from './questions.js';
import { Study } from './study.js';

/** @typedef {import('./analyses.js').Analyses} Analyses */
/** @typedef {import('./analysis.js').About} About */
/** @typedef {import('./multiples.js').Subject} Subject */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Frozen} Frozen */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./questions.js').Questions} Questions */

const NO_PICTURE = 'The server no longer has this picture. What is here stays.';
const NO_CONNECTION = 'The connection was lost. What is here stays; nothing new can be asked.';
const KEPT = 'The picture itself is not kept any more; what is found of it is.';
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

export class FrozenView {
  /** The analyses of the picture. @type {AnalysesView} */
  analyses;
  #parts;
  #study;
  #multiples;
  #questions;
  #onLeft;
  /** @type {Explained | null} */
  #explained = null;
  /** Ends what is asked for the small multiples. */
  #leaving = new AbortController();

  /**
   * @param {object} parts
   * @param {HTMLDialogElement} parts.dialog
   * @param {HTMLElement} parts.heading
   * @param {HTMLElement} parts.facts
   * @param {HTMLElement} parts.notice
   * @param {HTMLElement} parts.status     A live region.
   * @param {HTMLElement} parts.leave
   * @param {HTMLElement} parts.body       What takes the picture to be studied.
   * @param {HTMLElement} parts.multiples
   * @param {ConstructorParameters<typeof Study>[0]} parts.study
   * @param {ConstructorParameters<typeof AnalysesView>[0]} parts.analyses
   * @param {Questions} questions
   * @param {Analyses} analyses
   * @param {() => void} onLeft
   */
  constructor(parts, questions, analyses, onLeft) {
    this.#parts = parts;
    this.#questions = questions;
    this.#onLeft = onLeft;
    const tell = (/** @type {string} */ sentence) => (parts.status.textContent = sentence);
    this.#study = new Study(parts.study, tell);
    this.analyses = new AnalysesView(parts.analyses, analyses, tell);
    this.#multiples = new Multiples(
      parts.multiples,
      (subject) => (this.#study.subject = subject),
    );
    parts.dialog.addEventListener('close', () => this.#left());
  }

  get isOpen() {
    return this.#parts.dialog.open;
  }

  /**
   * @param {Caption} caption
   * @param {About} about
   * @param {Method[]} methods
   * @param {number} first  The word to begin with; the one of the strongest map if negative.
   */
  open(caption, about, methods, first) {
    const { dialog, facts } = this.#parts;
    const shape = caption.frame.width > 0 && caption.frame.height > 0 ? caption.frame : FALLBACK;
    const subjects = subjectsOf(caption);
    this.#explained = new Explained(this.#questions, caption, methods[0]?.name ?? '');
    this.#leaving = new AbortController();
    this.#head(about, true);
    facts.textContent += ` ${confidenceText(caption)}.`;
    this.analyses.open(about, caption);
    this.#study.begin(this.#explained, methods, shape);
    this.#multiples.show(subjects, shape);
    dialog.showModal();
    this.#multiples.choose(subjects[first] ?? subjects[strongest(caption)]);
    this.#multiples.focus();
    this.#fillMultiples(this.#explained, subjects, methods[0]);
  }

  /**
   * Opens what was found of a picture that is not here any more.
   *
   * @param {About} about
   */
  openKept(about) {
    this.#head(about, false);
    this.#parts.notice.textContent = KEPT;
    this.analyses.open(about, null);
    this.#parts.dialog.showModal();
  }

  /**
   * @param {About} about
   * @param {boolean} isHere  Whether the picture is there to be studied.
   */
  #head({ caption, taken }, isHere) {
    const { heading, facts, notice, status, leave, body } = this.#parts;
    heading.textContent = caption;
    facts.textContent = `The picture of ${CLOCK.format(taken)}.`;
    notice.textContent = status.textContent = '';
    leave.textContent = isHere ? 'Back to live' : 'Close';
    body.hidden = !isHere;
  }

  leave() {
    this.#parts.dialog.close();
  }

  /** @param {Frozen} frozen */
  async show({ seq, picture }) {
    const explained = this.#explained;
    if (!explained || seq !== explained.caption.seq) return;
    const image = new Image();
    image.src = picture;
    try {
      await image.decode();
    } catch {
      if (this.#explained === explained) this.#parts.notice.textContent = NO_PICTURE;
      return;
    }
    if (this.#explained !== explained) return;
    this.#multiples.picture = image;
    this.#study.picture = image;
    this.analyses.picture = image;
  }

  /** Says that the server has let go of the picture. */
  pictureGone() {
    if (this.#explained) this.#parts.notice.textContent = NO_PICTURE;
  }

  /** Says that the connection by which the picture was frozen is no more. */
  cutOff() {
    if (!this.#explained) return;
    this.#explained.cutOff();
    this.analyses.cutOff();
    this.#parts.notice.textContent = NO_CONNECTION;
  }

  #left() {
    this.#explained = null;
    this.#leaving.abort();
    this.#study.end();
    this.#multiples.clear();
    this.analyses.close();
    this.#onLeft();
  }

  /**
   * Every tile has its map; those that did not come with the caption are asked for one by one.
   *
   * @param {Explained} explained
   * @param {Subject[]} subjects
   * @param {Method | undefined} method
   */
  async #fillMultiples(explained, subjects, method) {
    if (!method) return;
    const signal = this.#leaving.signal;
    for (const [index, { target }] of subjects.entries()) {
      if (!method.kinds.includes(target.kind)) continue;
      try {
        this.#multiples.setMap(index, await explained.ask(method.name, target, signal));
      } catch (problem) {
        if (!(problem instanceof Refusal)) throw problem;
        return;
      }
    }
    const words = explained.ofAllWords(method.name);
    words.forEach((map, index) => this.#multiples.setStrength(index, strengthAmong(map, words)));
  }
}

const FALLBACK = { width: 4, height: 3 };

/**
 * @param {Caption} caption
 * @returns {Subject[]}  Its words, the caption as a whole, the objects.
 */
function subjectsOf({ words, tags }) {
  return [
    ...words.map(({ text, prob, alternatives }, index) => ({
      target: { kind: /** @type {const} */ ('word'), index },
      name: text,
      prob,
      alternatives,
    })),
    {
      target: { kind: /** @type {const} */ ('caption') },
      name: 'the whole',
      prob: null,
      alternatives: [],
    },
    ...tags.map(({ text, prob }) => ({
      target: { kind: /** @type {const} */ ('tag'), text },
      name: text,
      prob,
      alternatives: [],
    })),
  ];
}

/** @param {Caption} caption */
function strongest({ maps }) {
  const peaks = maps?.words.map(({ peak }) => peak) ?? [];
  return Math.max(0, peaks.indexOf(Math.max(...peaks)));
}
