// @ts-check
/** The analyses of the picture that is looked at closely, each in its part of the frozen view. */

import { AnalysisPart } from './analysis_part.js';
import { AttackOptions } from './attack_options.js';
import { attackElements } from './attack_view.js';
import { ConceptOptions } from './concept_options.js';
import { conceptElements } from './concept_view.js';

/** @typedef {import('./analyses.js').Analyses} Analyses */
/** @typedef {import('./analysis.js').About} About */
/** @typedef {import('./analysis.js').Analysis} Analysis */
/** @typedef {import('./protocol.js').AnalysisKind} AnalysisKind */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Model} Model */
/** @typedef {ConstructorParameters<typeof AnalysisPart>[1]} PartParts */

const NO_CONNECTION = 'There is no connection any more by which this picture could be asked about.';

export class AnalysesView {
  #analyses;
  #concepts;
  /** @type {[AnalysisKind, AnalysisPart][]} */
  #parts;
  /** @type {About | null} */
  #about = null;
  /** @type {HTMLImageElement | null} */
  #picture = null;
  /** What can be asked for. @type {Model | null} */
  model = null;
  #isCutOff = false;

  /**
   * @param {object} parts
   * @param {PartParts} parts.attack
   * @param {ConstructorParameters<typeof AttackOptions>[0]} parts.attackOptions
   * @param {PartParts} parts.concepts
   * @param {ConstructorParameters<typeof ConceptOptions>[0]} parts.conceptOptions
   * @param {Analyses} analyses
   * @param {(sentence: string) => void} tell  For screen readers.
   */
  constructor(parts, analyses, tell) {
    const acts = {
      begin: (/** @type {AnalysisKind} */ kind, /** @type {object} */ params) =>
        this.#begin(kind, params),
      drop: (/** @type {Analysis} */ analysis) => analyses.drop(analysis),
      tell,
    };
    this.#analyses = analyses;
    this.#concepts = new ConceptOptions(parts.conceptOptions);
    const attack = new AttackOptions(parts.attackOptions);
    this.#parts = [
      ['adversarial', new AnalysisPart('adversarial', parts.attack, attack, attackElements, acts)],
      ['ace', new AnalysisPart('ace', parts.concepts, this.#concepts, conceptElements, acts)],
    ];
  }

  /** @param {number} count  Of this stream's pictures in which concepts would be sought. */
  set pictures(count) {
    this.#concepts.pictures = count;
  }

  /**
   * @param {About} about
   * @param {Caption | null} caption  None if its picture is gone, and nothing new can be asked.
   */
  open(about, caption) {
    this.#about = about;
    this.#isCutOff = false;
    for (const [kind, part] of this.#parts) {
      part.open(caption, this.model, this.#analyses.of(kind, about));
    }
  }

  /** @param {HTMLImageElement} image */
  set picture(image) {
    this.#picture = image;
    for (const [kind, part] of this.#parts) {
      const analysis = this.#about && this.#analyses.of(kind, this.#about);
      if (!analysis || analysis.picture !== null) continue;
      analysis.picture = image;
      part.refresh();
    }
  }

  /** The connection by which the picture could be asked about is no more. */
  cutOff() {
    this.#isCutOff = true;
  }

  close() {
    this.#about = this.#picture = null;
    for (const [, part] of this.#parts) part.close();
  }

  /**
   * @param {Analysis} analysis  One that has changed.
   * @returns {boolean}  Whether it is shown here.
   */
  hear(analysis) {
    const part = this.#parts.find(([, candidate]) => candidate.shows(analysis))?.[1];
    part?.show(analysis);
    // Why it ended is told here, and nowhere else again.
    if (part && analysis.state === 'ended') this.#analyses.drop(analysis);
    return part !== undefined;
  }

  /**
   * @param {AnalysisKind} kind
   * @param {object} params
   */
  #begin(kind, params) {
    const part = this.#parts.find(([other]) => other === kind)?.[1];
    if (this.#about === null || !part) return;
    if (this.#isCutOff) {
      part.say(NO_CONNECTION);
      return;
    }
    const analysis = this.#analyses.begin(kind, this.#about, params);
    analysis.picture = this.#picture;
    part.show(analysis);
  }
}
