// @ts-check
/** Puts the page together: one session at a time, its views, and the state that all can see. */

import { Analyses } from './analyses.js';
import { AnalysisNotice } from './analysis_notice.js';
import { Announcer } from './announcer.js';
import { Camera, cameraIsHidden, onCamerasChanged } from './camera.js';
import { CameraChoice } from './camera_choice.js';
import { CaptionView } from './captions.js';
import { canConnect } from './connection.js';
import { GuessView, said } from './doubt.js';
import { element } from './element.js';
import { FiguresView } from './figures.js';
import { FrozenView } from './frozen.js';
import { frozenParts } from './frozen_parts.js';
import { OwnFile } from './file.js';
import { HistoryView } from './history.js';
import { Demo } from './inputs.js';
import { Legend } from './legend.js';
import { Looking } from './looking.js';
import { MapCanvas } from './map_canvas.js';
import { ObjectsView } from './objects.js';
import { captionParts, guessParts, settingsParts, stageParts } from './page_parts.js';
import { PageState } from './page_state.js';
import { Problem } from './problems.js';
import { Questions } from './questions.js';
import { Session } from './session.js';
import { SettingsView } from './settings.js';
import { Stage } from './stage.js';
import { thinningText } from './thinning.js';
import { Voice } from './voice.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./problems.js').Action} Action */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Captioner} Captioner */
/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./protocol.js').Stats} Stats */

const startButtons = {
  camera: element('start-camera', HTMLButtonElement),
  demo: element('start-demo', HTMLButtonElement),
  file: element('start-file', HTMLButtonElement),
};
const stopButton = element('stop', HTMLButtonElement);
const freezeButton = element('freeze', HTMLButtonElement);
const fileField = element('file', HTMLInputElement);
const speakSwitch = element('speak', HTMLInputElement);
const video = element('returned-video', HTMLVideoElement);
const aboutExplanations = element('about-explanations').textContent;

const pageState = new PageState({
  line: element('state'),
  stop: stopButton,
  sources: startButtons,
});
const voice = new Voice();
const announcer = new Announcer(element('announcement'), voice);
const questions = new Questions((message) => session?.send(message) ?? false);
const mapCanvas = new MapCanvas(element('map', HTMLCanvasElement), () => ({
  width: video.videoWidth,
  height: video.videoHeight,
}));
const looking = new Looking(
  {
    canvas: mapCanvas,
    legend: new Legend(element('map-legend')),
    detail: element('word-detail'),
  },
  questions,
);
const captions = new CaptionView(
  captionParts(),
  new GuessView(guessParts()),
  new ObjectsView({ row: element('objects'), list: element('object-list') }, (name) => {
    looking.object = name;
  }),
  looking,
);
const analyses = new Analyses(questions, (analysis) => {
  notice.hear(analysis, frozen.analyses.hear(analysis));
});
const frozen = new FrozenView(frozenParts(), questions, analyses, () => {
  session?.send({ type: 'release' });
  if (captions.caption) announcer.hear(captions.caption);
});
const notice = new AnalysisNotice(
  { section: element('kept'), list: element('kept-list'), news: element('kept-news') },
  analyses,
  (about) => frozen.openKept(about),
);
const cameraChoice = new CameraChoice(
  { field: element('camera-field'), picker: element('camera', HTMLSelectElement) },
  () => start(newCamera()),
);
const history = new HistoryView(element('history'), (rows) => {
  element('history-section').hidden = rows === 0;
});
const figures = new FiguresView(element('figures'));
const settings = new SettingsView(settingsParts(), (wanted) =>
  session?.send({ type: 'configure', ...wanted }),
);
const stage = new Stage(stageParts(video), act, () => session?.tryNow());

/** @type {Session | null} */
let session = null;
/** The input of the session, or of the last one that ended by itself. @type {Input | null} */
let input = null;
/** @type {Captioner} */
let captioner = { state: 'ready', message: '' };
let cameraIsMuted = false;
/** @type {Method[]} */
let methods = [];
/** The name of the session's stream. */
let stream = '';

/** @param {Input} chosen */
function start(chosen) {
  session?.stop();
  loseTouch();
  captions.clear();
  announcer.reset();
  stage.empty();
  cameraIsMuted = false;
  captioner = { state: 'ready', message: '' };
  input = chosen;
  session = newSession(chosen);
  if (pageState.current === 'idle') scrollTo(0, 0);
  setState('connecting');
  session.run();
}

/** @param {Input} chosen */
function newSession(chosen) {
  const own = new Session(chosen, {
    onConnecting(step) {
      if (own !== session) return;
      if (pageState.current === 'reconnecting') stage.showTrying();
      else showProgress(step);
    },
    onLive() {
      if (own !== session) return;
      keepingFocus(() => stage.clear());
      setState('live');
      cameraChoice.show(input);
    },
    onReconnecting(problem, retryAt) {
      if (own !== session) return;
      loseTouch();
      setState('reconnecting', problem);
      stage.showRetry(problem, retryAt);
      stage.note('');
    },
    onProblem(problem) {
      if (own === session) fail(problem);
    },
    onMessage(message) {
      if (own === session) receive(message);
    },
    onVideo(stream) {
      if (own === session) stage.play(stream);
    },
  });
  return own;
}

function stop() {
  const { kind } = input ?? { kind: /** @type {const} */ ('camera') };
  session?.stop();
  session = null;
  input = null;
  loseTouch();
  captions.clear();
  announcer.reset();
  stage.empty();
  voice.quiet();
  setState('idle');
  startButtons[kind].focus();
}

/** @param {Problem} problem  One that only the visitor can mend. */
function fail(problem) {
  session = null;
  loseTouch();
  setState('problem', problem);
  stage.note('');
  stage.showProblem(problem);
  voice.quiet();
  cameraChoice.show(input);
}

/** Nothing that was asked is answered any more, and a frozen picture is no longer kept. */
function loseTouch() {
  questions.abandon();
  if (frozen.isOpen) frozen.cutOff();
}

/** @param {ServerMessage} message */
function receive(message) {
  if (questions.hear(message)) return;
  switch (message.type) {
    case 'hello':
      settings.greet(message);
      figures.showModel(message);
      stream = message.stream;
      frozen.analyses.model = message.model;
      looking.methods = methods = message.model.methods;
      showCaptioner(message.captioner);
      break;
    case 'caption':
      showCaption(message);
      break;
    case 'stats':
      settings.confirm(message.settings);
      figures.showStats(message);
      frozen.analyses.pictures = message.pictures;
      showThinning(message);
      showCaptioner(message.captioner);
      break;
    case 'frozen':
      frozen.show(message);
      break;
    case 'explanation':
      looking.hear(message);
      break;
    case 'error':
      if (message.code === 'gone') frozen.pictureGone();
      else settings.refuse(message.message);
      break;
  }
}

/** @param {Caption} caption */
function showCaption(caption) {
  const ageMs = caption.age_ms + (session?.delayMs ?? 0);
  captions.show(caption, performance.now() - ageMs, settings.intervalS);
  history.add(caption, new Date(Date.now() - ageMs));
  figures.showCaption(caption);
  if (!frozen.isOpen) announcer.hear(caption);
}

/** @param {Stats} stats */
function showThinning({ settings: { explanations }, explanations: thinning }) {
  looking.configure(explanations, thinning);
  const line = element('about-explanations');
  const text = thinningText(explanations, thinning) || aboutExplanations;
  if (line.textContent !== text) line.textContent = text;
}

function freeze() {
  const { caption } = captions;
  if (caption === null || methods.length === 0) return;
  const isAsked = session?.send({ type: 'freeze', seq: caption.seq });
  const about = { stream, seq: caption.seq, caption: said(caption), taken: captions.taken.getTime() };
  frozen.open(caption, about, methods, captions.lastInspected);
  if (!isAsked) frozen.cutOff();
}

/** @param {Captioner} current */
function showCaptioner(current) {
  captioner = current;
  setState(current.state === 'paused' ? 'paused' : 'live');
  showNote();
}

/** The one thing that is worth a line over the picture. */
function showNote() {
  if (!pageState.isLive) return;
  if (cameraIsMuted) {
    stage.note('The camera sends no picture: it is covered, or another program has it.');
  } else if (captioner.state === 'paused') {
    stage.note('Captions are paused and come back by themselves. The picture goes on.');
  } else if (captioner.state === 'starting') {
    stage.note('The captioner is starting. The picture is live already.');
  } else {
    stage.note(stage.hasPicture ? '' : 'Waiting for the first picture.');
  }
}

/** @param {'input' | 'server'} step */
function showProgress(step) {
  if (step === 'server') {
    stage.showProgress('Connecting', 'Finding a way to the server for the video.');
  } else if (input?.kind === 'camera') {
    stage.showProgress('Opening the camera', 'If your browser asks, choose “Allow”.');
  } else if (input?.kind === 'file') {
    stage.showProgress('Opening your file', input.label);
  }
}

/**
 * @param {import('./page_state.js').State} state
 * @param {Problem} [problem]
 */
function setState(state, problem) {
  pageState.set(state, input, captioner, problem);
}

/** @param {Action} action */
function act(action) {
  const again = action === 'retry' || action === 'continue' ? input : null;
  if (action === 'file') fileField.click();
  else keepingFocus(() => start(again ?? (action === 'camera' ? newCamera() : new Demo())));
}

/**
 * The buttons over the picture go when they have done their work: a focus that was on one of
 * them goes on to the button that stops.
 *
 * @param {() => void} change
 */
function keepingFocus(change) {
  const wasOver = element('overlay').contains(document.activeElement);
  change();
  if (wasOver) stopButton.focus();
}

function newCamera() {
  return new Camera(cameraChoice.deviceId, (muted) => {
    cameraIsMuted = muted;
    showNote();
  });
}

/** @param {File | undefined} file */
function startFile(file) {
  if (file) start(new OwnFile(file));
}

function preparePage() {
  setState('idle');
  if (cameraIsHidden()) {
    element('about-camera').textContent = 'Needs https, or http://localhost on the same machine.';
  }
  if (!Voice.isAvailable) {
    speakSwitch.disabled = true;
    element('about-speak').textContent = 'This browser has no speech.';
  }
  if (!canConnect()) {
    for (const button of Object.values(startButtons)) button.disabled = true;
    fail(new Problem('no-webrtc'));
  }
}

function listenToVisitor() {
  startButtons.camera.addEventListener('click', () => start(newCamera()));
  startButtons.demo.addEventListener('click', () => start(new Demo()));
  startButtons.file.addEventListener('click', () => fileField.click());
  fileField.addEventListener('change', () => {
    startFile(fileField.files?.[0]);
    fileField.value = '';
  });
  stopButton.addEventListener('click', stop);
  freezeButton.addEventListener('click', freeze);
  element('leave-frozen').addEventListener('click', () => frozen.leave());
  speakSwitch.addEventListener('change', () => {
    voice.on = speakSwitch.checked;
    voice.say(captions.said);
  });
  element('clear-history').addEventListener('click', () => history.clear());
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    if (canConnect()) startFile(event.dataTransfer?.files[0]);
  });
}

function listenToDevice() {
  onCamerasChanged(() => cameraChoice.show(input));
  video.addEventListener('loadeddata', showNote);
  video.addEventListener('resize', () => mapCanvas.paint());
  addEventListener('online', () => session?.tryNow());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) session?.tryNow();
  });
  addEventListener('pagehide', () => session?.stop());
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted || session === null || input === null) return;
    if (input.kind === 'camera') fail(new Problem('camera-released'));
    else start(input);
  });
}

preparePage();
analyses.takeUp();
listenToVisitor();
listenToDevice();
