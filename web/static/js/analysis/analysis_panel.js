// @ts-check
/** The analyses in the study dialog: a section for each kind. */

import { gettext } from '../common/i18n.js';
import { AnalysisSection } from './analysis_section.js';
import { AttackOptions, attackResults } from './attack_analysis.js';
import { ConceptOptions, conceptResults } from './concept_analysis.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('./analysis_job.js').AnalysisJob} AnalysisJob */
/** @typedef {import('./analysis_job.js').Subject} Subject */
/** @typedef {import('./analysis_section.js').SectionElements} SectionElements */
/** @typedef {import('./analysis_store.js').AnalysisStore} AnalysisStore */

const DISCONNECTED = gettext('Not connected. This frame can no longer be analysed.');

export class AnalysisPanel {
  #store;
  #concepts;
  /** @type {Record<AnalysisKind, AnalysisSection>} */
  #sections;
  /** @type {Subject | null} */
  #subject = null;
  /** @type {HTMLImageElement | null} */
  #image = null;
  /** The model to analyse; null before the first connection. @type {Model | null} */
  model = null;
  /** Whether the user may start analyses. */
  isAllowed = true;
  #isConnected = true;

  /**
   * @param {object} elements
   * @param {SectionElements} elements.attack
   * @param {ConstructorParameters<typeof AttackOptions>[0]} elements.attackOptions
   * @param {SectionElements} elements.concepts
   * @param {ConstructorParameters<typeof ConceptOptions>[0]} elements.conceptOptions
   * @param {AnalysisStore} store
   * @param {(...nodes: (Node | string)[]) => void} announce  To screen readers.
   */
  constructor(elements, store, announce) {
    this.#store = store;
    this.#concepts = new ConceptOptions(elements.conceptOptions);
    const actions = {
      start: (/** @type {AnalysisKind} */ kind, /** @type {object} */ params) =>
        this.#start(kind, params),
      drop: (/** @type {AnalysisJob} */ job) => store.drop(job),
      announce,
    };
    this.#sections = {
      adversarial: new AnalysisSection(
        'adversarial',
        elements.attack,
        new AttackOptions(elements.attackOptions),
        attackResults,
        actions,
      ),
      ace: new AnalysisSection('ace', elements.concepts, this.#concepts, conceptResults, actions),
    };
  }

  /** @param {number} count  Frames of the stream that a concept analysis can use. */
  set frameCount(count) {
    this.#concepts.frameCount = count;
  }

  /**
   * @param {Subject} subject
   * @param {Caption | null} caption  Null if its frame is gone: then only results are shown.
   */
  open(subject, caption) {
    this.#subject = subject;
    this.#isConnected = true;
    for (const section of Object.values(this.#sections)) {
      const isOffered = this.isAllowed && (this.model?.analyses.includes(section.kind) ?? false);
      const analysed = isOffered ? caption : null;
      const job = this.#store.find(section.kind, subject);
      section.open(analysed, this.model, job, this.#store.tookS.get(section.kind));
    }
  }

  /** @returns {string[]}  The ids of the sections that have something to show. */
  get offered() {
    const sections = Object.values(this.#sections);
    return sections.flatMap((section) => (section.isOffered ? [section.id] : []));
  }

  /** @param {AnalysisKind} kind @returns {string}  The id of its section. */
  panelOf(kind) {
    return this.#sections[kind].id;
  }

  /** @param {HTMLImageElement} image  The frame. */
  set image(image) {
    this.#image = image;
    for (const section of Object.values(this.#sections)) {
      const job = this.#subject && this.#store.find(section.kind, this.#subject);
      if (!job || job.image !== null) continue;
      job.image = image;
      section.refresh();
    }
  }

  /** Refuses new analyses: the connection with the frozen frame is lost. */
  disconnect() {
    this.#isConnected = false;
  }

  close() {
    this.#subject = this.#image = null;
    for (const section of Object.values(this.#sections)) section.close();
  }

  /**
   * @param {AnalysisJob} job  One that has changed.
   * @returns {boolean}  Whether it is shown here.
   */
  update(job) {
    const section = Object.values(this.#sections).find((candidate) => candidate.shows(job));
    section?.show(job);
    // The section shows why it ended: it need not be listed on the page as well.
    if (section && job.state === 'ended') this.#store.drop(job);
    return section !== undefined;
  }

  /**
   * @param {AnalysisKind} kind
   * @param {object} params
   */
  #start(kind, params) {
    const section = this.#sections[kind];
    if (this.#subject === null) return;
    if (!this.#isConnected) {
      section.showMessage(DISCONNECTED);
      return;
    }
    const job = this.#store.start(kind, this.#subject, params);
    job.image = this.#image;
    section.show(job);
  }
}
