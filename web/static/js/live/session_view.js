// @ts-check
/** What the page shows of the running session: captions, maps, settings and the frozen frame. */

import { AnalysisNotices } from '../analysis/analysis_notices.js';
import { AnalysisStore } from '../analysis/analysis_store.js';
import { Announcer, Speech } from '../captions/announcer.js';
import { captionText } from '../captions/caption.js';
import { CaptionLog } from '../captions/caption_log.js';
import { Transcript } from '../captions/transcript.js';
import { TranscriptExport } from '../captions/transcript_export.js';
import { getElement, setNodes, setText } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { preference, setPreference } from '../common/preferences.js';
import { LiveMapLegend } from '../heatmaps/live_map_legend.js';
import { MapCanvas } from '../heatmaps/map_canvas.js';
import { Requests } from '../session/requests.js';
import { serverNode } from '../session/server_texts.js';
import { StudyDialog, studyDialogElements } from '../study/study_dialog.js';
import { CutDetector } from '../video/cut_detector.js';
import { DirectOffer } from '../video/direct_offer.js';
import { CaptionView, captionViewElements } from './caption_view.js';
import { MapOverlay, reducedMapsText } from './map_overlay.js';
import { SettingsForm, settingsFormElements } from './settings_form.js';
import { StatsTable } from './stats_table.js';
import { TagList } from '../captions/tag_list.js';

/** @typedef {import('../captions/caption.js').Caption} Caption */
/** @typedef {import('../session/inputs.js').Input} Input */
/** @typedef {import('../session/messages.js').Hello} Hello */
/** @typedef {import('../session/messages.js').ReturnedVideo} ReturnedVideo */
/** @typedef {import('../session/model.js').Model} Model */
/** @typedef {import('../session/messages.js').ServerMessage} ServerMessage */
/** @typedef {import('../session/messages.js').Stats} Stats */

const SPEAK = 'speak';
const explanationsHint = getElement('about-heat-maps').textContent;

export class SessionView {
  #send;
  #delayMs;
  #speech = new Speech();
  #announcer = new Announcer(getElement('announcement'), this.#speech);
  #requests = new Requests((message) => this.#send(message));
  #mapOverlay;
  #captions;
  #analyses = new AnalysisStore(this.#requests, (job) => {
    this.#notices.update(job, this.#study.analyses.update(job));
  });
  #study = new StudyDialog(studyDialogElements(), this.#requests, this.#analyses, () =>
    this.#onStudyClosed(),
  );
  #notices = new AnalysisNotices(
    {
      section: getElement('kept'),
      list: getElement('kept-list'),
      announcement: getElement('kept-news'),
    },
    this.#analyses,
    (subject, kind) => this.#study.openResults(subject, kind),
  );
  #log = new CaptionLog(getElement('earlier'), (rows) => {
    getElement('earlier-section').hidden = rows === 0;
  });
  #transcript = new Transcript();
  #stats = new StatsTable(getElement('figures'));
  #settings;
  #offer = new DirectOffer(
    {
      offer: getElement('direct-offer'),
      text: getElement('direct-offer-text'),
      accept: getElement('show-directly'),
      decline: getElement('decline-direct'),
    },
    () => {
      this.#settings.returnedVideo = 'off';
    },
  );
  /** Whether the page shows the camera or the file itself. */
  #isDirect = false;
  /** @type {Model | null} */
  #model = null;
  #isFeed = false;
  /** The stream's id. */
  #stream = '';

  /**
   * @param {HTMLVideoElement} video
   * @param {(message: object) => boolean} send  Returns whether the data channel was open.
   * @param {() => number} delayMs  The age of a message when it arrives.
   * @param {(mode: ReturnedVideo) => void} onReturnedVideo  Called with the video to show.
   */
  constructor(video, send, delayMs, onReturnedVideo) {
    this.#send = send;
    this.#delayMs = delayMs;
    const canvas = new MapCanvas(getElement('map', HTMLCanvasElement), () => ({
      width: video.videoWidth,
      height: video.videoHeight,
    }));
    const mapOverlay = new MapOverlay(
      {
        canvas,
        legend: new LiveMapLegend({
          legend: getElement('map-legend'),
          toggle: getElement('about-map'),
          details: getElement('map-details'),
        }),
        description: getElement('word-detail'),
      },
      this.#requests,
    );
    const tags = new TagList(
      { row: getElement('objects'), list: getElement('object-list') },
      (name) => {
        mapOverlay.tag = name;
      },
    );
    this.#mapOverlay = mapOverlay;
    this.#captions = new CaptionView(captionViewElements(), tags, mapOverlay, {
      onHeld: (seq) => this.#send({ type: 'freeze', seq }),
      onReleased: () => this.#study.isOpen || this.#send({ type: 'release' }),
    });
    video.addEventListener('resize', () => canvas.paint());
    const cuts = new CutDetector(video, () => this.#captions.cut());
    this.#settings = new SettingsForm(
      settingsFormElements(),
      (settings) => this.#send({ type: 'configure', ...settings }),
      (mode) => {
        this.#isDirect = cuts.isRunning = mapOverlay.isDirect = mode === 'off';
        onReturnedVideo(mode);
      },
    );
    this.#addListeners();
    this.#analyses.resume();
  }

  /**
   * Prepares for a session.
   *
   * @param {Input} input
   * @param {boolean} isShared  Whether others may watch it too.
   */
  begin({ kind }, isShared) {
    const isOwn = (kind === 'camera' || kind === 'file') && !isShared;
    this.#settings.origin = isOwn ? 'page' : kind === 'demo' ? 'server' : 'shared';
    this.#offer.begin(isOwn ? kind : null);
  }

  clear() {
    this.#captions.clear();
    this.#study.clear();
    this.#announcer.reset();
  }

  /** Whether the user may start analyses. @param {boolean} isAllowed */
  set allowsAnalyses(isAllowed) {
    this.#study.analyses.isAllowed = isAllowed;
  }

  /** Fails all pending requests: the connection is lost, and the frozen frame with it. */
  disconnect() {
    this.#requests.rejectAll();
    if (this.#study.isOpen) this.#study.disconnect();
  }

  stopSpeech() {
    this.#speech.stop();
  }

  /** @param {ServerMessage} message */
  receive(message) {
    if (this.#requests.receive(message)) return;
    switch (message.type) {
      case 'hello':
        this.#start(message);
        break;
      case 'caption':
        this.#showCaption(message);
        break;
      case 'stats':
        this.#showStats(message);
        break;
      case 'text_area':
        this.#mapOverlay.textTop = message.top;
        break;
      case 'frozen':
        this.#study.showFrame(message);
        break;
      case 'explanation':
        this.#mapOverlay.receive(message);
        break;
      case 'error':
        // Without the frozen view, only the map of an object in a held caption is affected.
        if (message.code === 'gone') this.#study.showFrameGone();
        else this.#settings.showError(message.message);
        break;
    }
  }

  /** @param {Hello} hello */
  #start(hello) {
    this.#settings.start(hello);
    if (hello.stream !== this.#stream) this.#study.clear();
    this.#stream = hello.stream;
    this.#isFeed = hello.watching !== null;
    this.#model = this.#study.analyses.model = this.#mapOverlay.model = hello.model;
  }

  /** @param {Caption} caption */
  #showCaption(caption) {
    const ageMs = caption.age_ms + this.#delayMs();
    this.#captions.add(caption, performance.now() - ageMs, this.#settings.intervalS);
    const time = new Date(Date.now() - ageMs);
    this.#log.add(caption, time);
    this.#transcript.add(caption, time);
    this.#study.addCaption(caption, time.getTime());
    this.#stats.showCaption(caption);
    if (!this.#study.isOpen) this.#announcer.add(caption);
  }

  /** @param {Stats} stats */
  #showStats(stats) {
    const { explanations } = stats.settings;
    this.#settings.confirm(stats.settings);
    this.#stats.showStats(stats);
    this.#study.analyses.frameCount = stats.pictures;
    this.#mapOverlay.configure(stats.settings, stats.explanations, this.#isFeed);
    this.#offer.update(stats.load.step, this.#isDirect);
    const reduced = reducedMapsText(this.#model, explanations, stats.explanations, this.#isFeed);
    setText(getElement('about-heat-maps'), reduced || explanationsHint);
    setNodes(getElement('load'), [serverNode(stats.load.message)]);
  }

  #freeze() {
    const { caption, capturedAt, lastInspected } = this.#captions;
    if (caption === null || this.#model === null) return;
    const isSent = this.#send({ type: 'freeze', seq: caption.seq });
    const subject = {
      stream: this.#stream,
      seq: caption.seq,
      caption: captionText(caption),
      taken: capturedAt.getTime(),
    };
    this.#study.open(caption, subject, this.#model, lastInspected);
    this.#captions.release();
    if (!isSent) this.#study.disconnect();
  }

  #onStudyClosed() {
    this.#send({ type: 'release' });
    if (this.#captions.caption) this.#announcer.add(this.#captions.caption);
  }

  #addListeners() {
    const speak = getElement('speak', HTMLInputElement);
    getElement('freeze').addEventListener('click', () => this.#freeze());
    getElement('leave-frozen').addEventListener('click', () => this.#study.close());
    getElement('clear-earlier').addEventListener('click', () => {
      this.#log.clear();
      this.#transcript.clear();
    });
    new TranscriptExport(
      {
        copy: getElement('copy-captions'),
        saveText: getElement('save-text'),
        saveWebVtt: getElement('save-webvtt'),
        status: getElement('export-status'),
      },
      this.#transcript,
    );
    speak.addEventListener('change', () => {
      this.#speech.enabled = speak.checked;
      setPreference(SPEAK, speak.checked);
      this.#speech.say(this.#captions.text);
    });
    if (Speech.isAvailable) {
      this.#speech.enabled = speak.checked = preference(SPEAK) === true;
      return;
    }
    speak.disabled = true;
    getElement('about-speak').textContent = gettext('This browser has no speech synthesis.');
  }
}
