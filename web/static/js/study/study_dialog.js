// @ts-check
/** The dialog of a frozen caption and its frame: explanations, and analyses of the frame. */

import { AnalysisPanel } from '../analysis/analysis_panel.js';
import { confidenceText, otherCaptionsNodes } from '../captions/caption_text.js';
import { getElement } from '../common/dom.js';
import { timeWithSeconds } from '../common/format.js';
import { gettext } from '../common/i18n.js';
import { Tabs } from '../common/tabs.js';
import { relativeStrength } from '../heatmaps/heat_map.js';
import { RequestError } from '../session/requests.js';
import { ExplanationCache } from './explanation_cache.js';
import { ExplanationView } from './explanation_view.js';
import { SeenFrames } from './seen_frames.js';
import { TargetPicker, targetsOf } from './target_picker.js';

/** @typedef {import('../analysis/analysis_job.js').Subject} Subject */
/** @typedef {import('../analysis/analysis_store.js').AnalysisStore} AnalysisStore */
/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/explanation_messages.js').AnalysisKind} AnalysisKind */
/** @typedef {import('../session/explanation_messages.js').Frozen} Frozen */
/** @typedef {import('../session/model.js').Method} Method */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('../session/requests.js').Requests} Requests */
/** @typedef {import('./target_picker.js').TargetInfo} TargetInfo */

const FRAME_GONE = gettext('The server no longer has this frame. These results stay.');
const DISCONNECTED = gettext(
  'The connection was lost. These results stay, but nothing new can be computed.',
);
const RESULTS_ONLY = gettext('The frame is no longer available. Its results are below.');
const DEFAULT_SIZE = { width: 4, height: 3 };

export function studyDialogElements() {
  return {
    dialog: getElement('frozen', HTMLDialogElement),
    heading: getElement('frozen-heading'),
    facts: getElement('frozen-facts'),
    others: getElement('frozen-others'),
    notice: getElement('frozen-notice'),
    status: getElement('frozen-status'),
    close: getElement('leave-frozen'),
    tabs: getElement('frozen-tabs'),
    body: getElement('frozen-body'),
    targets: getElement('multiples'),
    explanation: {
      panels: getElement('panels'),
      chosen: getElement('chosen'),
      rivals: getElement('rivals'),
      rivalSet: getElement('rival-set'),
      rivalTitle: getElement('rival-title'),
      methods: {
        recommended: getElement('recommended-method'),
        more: getElement('more-methods', HTMLDetailsElement),
        explaining: getElement('explaining-methods'),
        reading: getElement('reading-methods'),
        readingSet: getElement('reading-set'),
        about: getElement('about-method'),
        beside: getElement('beside', HTMLSelectElement),
        besideField: getElement('beside-field'),
      },
      check: {
        section: getElement('check'),
        verdict: getElement('check-verdict'),
        scale: getElement('check-scale'),
        sentence: getElement('check-sentence'),
        bars: getElement('check-bars'),
        button: getElement('check-map', HTMLButtonElement),
      },
    },
    analyses: {
      attack: {
        section: getElement('attack'),
        form: getElement('attack-form', HTMLFormElement),
        time: getElement('attack-time'),
        limitation: getElement('attack-lack'),
      },
      attackOptions: {
        norms: getElement('attack-norms'),
        say: getElement('attack-say', HTMLInputElement),
        sayWords: getElement('attack-say-words'),
        lose: getElement('attack-lose', HTMLInputElement),
        loseWords: getElement('attack-lose-words'),
      },
      concepts: {
        section: getElement('concepts'),
        form: getElement('concepts-form', HTMLFormElement),
        time: getElement('concepts-time'),
        limitation: getElement('concepts-lack'),
      },
      conceptOptions: {
        scopeField: getElement('concept-scope-field'),
        scopes: getElement('concept-scopes'),
        frames: getElement('concept-pictures'),
        wordField: getElement('concept-word-field'),
        word: getElement('concept-word', HTMLSelectElement),
      },
    },
  };
}

export class StudyDialog {
  /** @type {AnalysisPanel} */
  analyses;
  #elements;
  #tabs;
  #explanation;
  #targets;
  #frames = new SeenFrames();
  /** When the frame was captured, in milliseconds since 1970. */
  #taken = 0;
  #requests;
  #onClose;
  /** @type {ExplanationCache | null} */
  #explanations = null;
  /** Aborts the requests for the small maps. */
  #closed = new AbortController();

  /**
   * @param {ReturnType<typeof studyDialogElements>} elements
   * @param {Requests} requests
   * @param {AnalysisStore} store
   * @param {() => void} onClose
   */
  constructor(elements, requests, store, onClose) {
    this.#elements = elements;
    this.#requests = requests;
    this.#onClose = onClose;
    const announce = (/** @type {(Node | string)[]} */ ...nodes) => {
      elements.status.replaceChildren(...nodes);
    };
    const explanation = new ExplanationView(elements.explanation, announce);
    this.#tabs = new Tabs(elements.tabs);
    this.#explanation = explanation;
    this.analyses = new AnalysisPanel(elements.analyses, store, announce);
    this.#targets = new TargetPicker(elements.targets, (target) => {
      explanation.target = target;
    });
    elements.dialog.addEventListener('close', () => this.#closeViews());
  }

  get isOpen() {
    return this.#elements.dialog.open;
  }

  /**
   * @param {Caption} caption
   * @param {Subject} subject
   * @param {Model} model
   * @param {number} firstWord  The word to select; if negative, the one with the strongest map.
   */
  open(caption, subject, model, firstWord) {
    const { dialog, facts, others } = this.#elements;
    const { width, height } = caption.frame;
    const size = width > 0 && height > 0 ? caption.frame : DEFAULT_SIZE;
    const { methods, liveMethod, source } = model;
    const targets = targetsOf(caption).filter(({ target }) =>
      methods.some(({ kinds }) => kinds.includes(target.kind)),
    );
    const first = targets[firstWord] ?? targets[strongestWord(caption)] ?? targets[0];
    // Frames that are sent to another server may cost money there.
    const isFree = source.kind !== 'endpoint';
    this.#explanations = new ExplanationCache(this.#requests, caption, liveMethod, isFree);
    this.#closed = new AbortController();
    this.#showHead(subject, true);
    facts.append(' ', gettext('{confidence}.', { confidence: confidenceText(caption) }));
    others.replaceChildren(...otherCaptionsNodes(caption));
    this.analyses.open(subject, caption);
    this.#explanation.open(this.#explanations, model, size);
    this.#explanation.frames = this.#frames.besides(caption);
    this.#taken = subject.taken;
    this.#targets.show(targets, size);
    const explained = targets.length > 0 ? [this.#elements.body.id] : [];
    this.#tabs.show([...explained, ...this.analyses.offered], this.#elements.body.id);
    dialog.showModal();
    if (first) this.#targets.select(first);
    this.#targets.focus();
    const live = methods.find(({ name }) => name === liveMethod);
    if (live) this.#loadSmallMaps(this.#explanations, targets, live);
  }

  /**
   * Opens the results of analyses whose frame is gone.
   *
   * @param {Subject} subject
   * @param {AnalysisKind} kind  Of the one to show first.
   */
  openResults(subject, kind) {
    this.#showHead(subject, false);
    this.#elements.notice.textContent = RESULTS_ONLY;
    this.analyses.open(subject, null);
    this.#tabs.show(this.analyses.offered, this.analyses.panelOf(kind));
    this.#elements.dialog.showModal();
  }

  close() {
    this.#elements.dialog.close();
  }

  /** @param {Frozen} frozen */
  async showFrame({ seq, picture }) {
    const explanations = this.#explanations;
    if (!explanations || seq !== explanations.caption.seq) return;
    const image = new Image();
    image.src = picture;
    try {
      await image.decode();
    } catch {
      if (this.#explanations === explanations) this.showFrameGone();
      return;
    }
    if (this.#explanations !== explanations) return;
    this.#targets.image = image;
    this.#explanation.image = image;
    this.analyses.image = image;
    const { caption } = explanations;
    const folder = picture.slice(0, picture.lastIndexOf('/'));
    const frame = { caption, taken: this.#taken, explanations, image };
    await this.#frames.freeze(frame, (other) => `${folder}/${other}`);
    if (this.#explanations === explanations) {
      this.#explanation.frames = this.#frames.besides(caption);
    }
  }

  /**
   * Keeps a caption, to compare a frozen one with.
   *
   * @param {Caption} caption
   * @param {number} taken  When its frame was captured, in milliseconds since 1970.
   */
  addCaption(caption, taken) {
    const explanations = new ExplanationCache(this.#requests, caption, null, false);
    this.#frames.addRecent({ caption, taken, explanations });
  }

  /** Forgets the frames to compare with: another stream begins. */
  clear() {
    this.#frames.clear();
  }

  /** Shows that the server has released the frame. */
  showFrameGone() {
    if (this.#explanations) this.#elements.notice.textContent = FRAME_GONE;
  }

  /** Fails further requests: the connection with the frozen frame is lost. */
  disconnect() {
    if (!this.#explanations) return;
    this.#explanations.disconnect();
    this.analyses.disconnect();
    this.#elements.notice.textContent = DISCONNECTED;
  }

  /**
   * @param {Subject} subject
   * @param {boolean} hasFrame
   */
  #showHead({ caption, taken }, hasFrame) {
    const { heading, facts, others, notice, status, close } = this.#elements;
    heading.textContent = caption;
    facts.textContent = gettext('Frame from {time}.', { time: timeWithSeconds(taken) });
    others.textContent = notice.textContent = status.textContent = '';
    close.textContent = hasFrame ? gettext('Back to live') : gettext('Close');
  }

  #closeViews() {
    this.#explanations = null;
    this.#closed.abort();
    this.#explanation.close();
    this.#targets.clear();
    this.analyses.close();
    this.#onClose();
  }

  /**
   * Requests one by one the small maps that did not come with the caption.
   *
   * @param {ExplanationCache} explanations
   * @param {TargetInfo[]} targets
   * @param {Method} method
   */
  async #loadSmallMaps(explanations, targets, method) {
    const { signal } = this.#closed;
    for (const [index, { target }] of targets.entries()) {
      if (!method.kinds.includes(target.kind)) continue;
      try {
        this.#targets.setMap(index, await explanations.request(method.name, target, signal));
      } catch (error) {
        if (!(error instanceof RequestError)) throw error;
        return;
      }
    }
    const words = explanations.mapsOfAllWords(method.name);
    words.forEach((map, index) => this.#targets.setStrength(index, relativeStrength(map, words)));
  }
}

/** @param {Caption} caption @returns {number}  The index of the word with the strongest map. */
function strongestWord({ maps }) {
  const peaks = maps?.words.map(({ peak }) => peak) ?? [];
  return Math.max(0, peaks.indexOf(Math.max(...peaks)));
}
