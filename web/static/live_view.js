// @ts-check
/** What the page shows of the session that is on: its captions, their explanations, its settings. */

import { Analyses } from './analyses.js';
import { AnalysisNotice } from './analysis_notice.js';
import { Announcer } from './announcer.js';
import { CaptionView } from './captions.js';
import { GuessView, said } from './doubt.js';
import { element } from './element.js';
import { FiguresView } from './figures.js';
import { FrozenView } from './frozen.js';
import { frozenParts } from './frozen_parts.js';
import { EarlierView } from './earlier.js';
import { Legend } from './legend.js';
import { Looking } from './looking.js';
import { MapCanvas } from './map_canvas.js';
import { ObjectsView } from './objects.js';
import { captionParts, guessParts, settingsParts } from './page_parts.js';
import { Questions } from './questions.js';
import { SettingsView } from './settings.js';
import { thinningText } from './thinning.js';
import { Voice } from './voice.js';

/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./protocol.js').Stats} Stats */

const aboutExplanations = element('about-explanations').textContent;

export class LiveView {
  #send;
  #delayMs;
  #voice = new Voice();
  #announcer = new Announcer(element('announcement'), this.#voice);
  #questions = new Questions((message) => this.#send(message));
  #mapCanvas;
  #looking;
  #captions;
  #analyses = new Analyses(this.#questions, (analysis) => {
    this.#notice.hear(analysis, this.#frozen.analyses.hear(analysis));
  });
  #frozen = new FrozenView(frozenParts(), this.#questions, this.#analyses, () => this.#unfreeze());
  #notice = new AnalysisNotice(
    { section: element('kept'), list: element('kept-list'), news: element('kept-news') },
    this.#analyses,
    (about) => this.#frozen.openKept(about),
  );
  #earlier = new EarlierView(element('earlier'), (rows) => {
    element('earlier-section').hidden = rows === 0;
  });
  #figures = new FiguresView(element('figures'));
  #settings = new SettingsView(settingsParts(), (wanted) =>
    this.#send({ type: 'configure', ...wanted }),
  );
  /** @type {Method[]} */
  #methods = [];
  /** Whether the stream is a feed's. */
  #watches = false;
  /** The name of the session's stream. */
  #stream = '';

  /**
   * @param {HTMLVideoElement} video
   * @param {(message: object) => boolean} send  Tells whether it could be sent.
   * @param {() => number} delayMs  How old a message is when it arrives.
   */
  constructor(video, send, delayMs) {
    this.#send = send;
    this.#delayMs = delayMs;
    this.#mapCanvas = new MapCanvas(element('map', HTMLCanvasElement), () => ({
      width: video.videoWidth,
      height: video.videoHeight,
    }));
    const looking = new Looking(
      {
        canvas: this.#mapCanvas,
        legend: new Legend(element('map-legend')),
        detail: element('word-detail'),
      },
      this.#questions,
    );
    this.#looking = looking;
    this.#captions = new CaptionView(
      captionParts(),
      new GuessView(guessParts()),
      new ObjectsView({ row: element('objects'), list: element('object-list') }, (name) => {
        looking.object = name;
      }),
      looking,
    );
    video.addEventListener('resize', () => this.#mapCanvas.paint());
    this.#listen(element('speak', HTMLInputElement));
    this.#analyses.takeUp();
  }

  /** Shows nothing any more. */
  clear() {
    this.#captions.clear();
    this.#announcer.reset();
  }

  /** Nothing that was asked is answered any more, and a frozen picture is no longer kept. */
  loseTouch() {
    this.#questions.abandon();
    if (this.#frozen.isOpen) this.#frozen.cutOff();
  }

  quiet() {
    this.#voice.quiet();
  }

  /** @param {ServerMessage} message */
  hear(message) {
    if (this.#questions.hear(message)) return;
    switch (message.type) {
      case 'hello':
        this.#greet(message);
        break;
      case 'caption':
        this.#showCaption(message);
        break;
      case 'stats':
        this.#showStats(message);
        break;
      case 'frozen':
        this.#frozen.show(message);
        break;
      case 'explanation':
        this.#looking.hear(message);
        break;
      case 'error':
        if (message.code === 'gone') this.#frozen.pictureGone();
        else this.#settings.refuse(message.message);
        break;
    }
  }

  /** @param {Hello} hello */
  #greet(hello) {
    this.#settings.greet(hello);
    this.#figures.showModel(hello);
    this.#stream = hello.stream;
    this.#watches = hello.watching !== null;
    this.#frozen.analyses.model = hello.model;
    this.#looking.methods = this.#methods = hello.model.methods;
  }

  /** @param {Caption} caption */
  #showCaption(caption) {
    const ageMs = caption.age_ms + this.#delayMs();
    this.#captions.show(caption, performance.now() - ageMs, this.#settings.intervalS);
    this.#earlier.add(caption, new Date(Date.now() - ageMs));
    this.#figures.showCaption(caption);
    if (!this.#frozen.isOpen) this.#announcer.hear(caption);
  }

  /** @param {Stats} stats */
  #showStats(stats) {
    const { explanations } = stats.settings;
    this.#settings.confirm(stats.settings);
    this.#figures.showStats(stats);
    this.#frozen.analyses.pictures = stats.pictures;
    this.#looking.configure(explanations, stats.explanations, this.#watches);
    const thinned = thinningText(explanations, stats.explanations, this.#watches);
    setText(element('about-explanations'), thinned || aboutExplanations);
    setText(element('load'), stats.load.message);
  }

  #freeze() {
    const { caption, taken, lastInspected } = this.#captions;
    if (caption === null || this.#methods.length === 0) return;
    const isAsked = this.#send({ type: 'freeze', seq: caption.seq });
    const about = {
      stream: this.#stream,
      seq: caption.seq,
      caption: said(caption),
      taken: taken.getTime(),
    };
    this.#frozen.open(caption, about, this.#methods, lastInspected);
    if (!isAsked) this.#frozen.cutOff();
  }

  #unfreeze() {
    this.#send({ type: 'release' });
    if (this.#captions.caption) this.#announcer.hear(this.#captions.caption);
  }

  /** @param {HTMLInputElement} speak */
  #listen(speak) {
    element('freeze').addEventListener('click', () => this.#freeze());
    element('leave-frozen').addEventListener('click', () => this.#frozen.leave());
    element('clear-earlier').addEventListener('click', () => this.#earlier.clear());
    speak.addEventListener('change', () => {
      this.#voice.on = speak.checked;
      this.#voice.say(this.#captions.said);
    });
    if (Voice.isAvailable) return;
    speak.disabled = true;
    element('about-speak').textContent = 'This browser has no speech.';
  }
}

/**
 * Texts in a live region are set only when they differ, or they would be read again.
 *
 * @param {HTMLElement} element
 * @param {string | null} text
 */
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
