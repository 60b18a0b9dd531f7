// @ts-check
/** Puts the page together: one session at a time, its views, and the state that all can see. */

import { Announcer } from './announcer.js';
import { Camera, cameraIsHidden, listCameras, onCamerasChanged } from './camera.js';
import { CaptionView } from './captions.js';
import { canConnect } from './connection.js';
import { GuessView } from './doubt.js';
import { FiguresView } from './figures.js';
import { FrozenView } from './frozen.js';
import { OwnFile } from './file.js';
import { HistoryView } from './history.js';
import { Demo } from './inputs.js';
import { Legend } from './legend.js';
import { Looking } from './looking.js';
import { MapCanvas } from './map_canvas.js';
import { ObjectsView } from './objects.js';
import { Problem } from './problems.js';
import { Questions } from './questions.js';
import { Session } from './session.js';
import { SettingsView } from './settings.js';
import { Stage } from './stage.js';
import { thinningText } from './thinning.js';
import { Voice } from './voice.js';

/** @typedef {'idle' | 'connecting' | 'live' | 'paused' | 'reconnecting' | 'problem'} State */
/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./problems.js').Action} Action */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Captioner} Captioner */
/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./protocol.js').Stats} Stats */

/** @type {Record<State, string>} */
const STATE_TEXTS = {
  idle: 'Ready',
  connecting: 'Connecting',
  live: 'Live',
  paused: 'Captions paused',
  reconnecting: 'Reconnecting',
  problem: 'Stopped',
};

const root = document.documentElement;
const startButtons = {
  camera: element('start-camera', HTMLButtonElement),
  demo: element('start-demo', HTMLButtonElement),
  file: element('start-file', HTMLButtonElement),
};
const stopButton = element('stop', HTMLButtonElement);
const freezeButton = element('freeze', HTMLButtonElement);
const fileField = element('file', HTMLInputElement);
const cameraPicker = element('camera', HTMLSelectElement);
const speakSwitch = element('speak', HTMLInputElement);
const video = element('returned-video', HTMLVideoElement);
const aboutExplanations = element('about-explanations').textContent;

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
  {
    lead: element('lead'),
    caption: element('caption'),
    sentence: element('sentence'),
    age: element('age'),
    sightline: element('sightline'),
    certainty: element('certainty'),
    panel: element('screen'),
  },
  new GuessView({
    row: element('doubt'),
    toggle: element('show-guess'),
    guess: element('guess'),
  }),
  new ObjectsView({ row: element('objects'), list: element('object-list') }, (name) => {
    looking.object = name;
  }),
  looking,
);
const frozen = new FrozenView(
  {
    dialog: element('frozen', HTMLDialogElement),
    heading: element('frozen-heading'),
    facts: element('frozen-facts'),
    notice: element('frozen-notice'),
    status: element('frozen-status'),
    multiples: element('multiples'),
    study: {
      panels: element('panels'),
      chosen: element('chosen'),
      rivals: element('rivals'),
      rivalSet: element('rival-set'),
      rivalTitle: element('rival-title'),
      picker: {
        explaining: element('explaining-methods'),
        reading: element('reading-methods'),
        readingSet: element('reading-set'),
        about: element('about-method'),
        beside: element('beside', HTMLSelectElement),
      },
      check: {
        sentence: element('check-sentence'),
        bars: element('check-bars'),
        button: element('check-map', HTMLButtonElement),
      },
    },
  },
  questions,
  () => {
    session?.send({ type: 'release' });
    if (captions.caption) announcer.hear(captions.caption);
  },
);
const history = new HistoryView(element('history'), (rows) => {
  element('history-section').hidden = rows === 0;
});
const figures = new FiguresView(element('figures'));
const settings = new SettingsView(
  {
    interval: element('interval', HTMLInputElement),
    intervalText: element('interval-text'),
    beam: element('beam-width', HTMLSelectElement),
    overlay: element('picture-overlay', HTMLSelectElement),
    explanations: element('explanations', HTMLSelectElement),
    confirmation: element('confirmation'),
  },
  (wanted) => session?.send({ type: 'configure', ...wanted }),
);
const stage = new Stage(
  {
    video,
    frame: element('stage'),
    note: element('note'),
    overlay: element('overlay'),
    title: element('overlay-title'),
    advice: element('overlay-advice'),
    detail: element('overlay-detail'),
    countdown: element('overlay-countdown'),
    actions: element('overlay-actions'),
  },
  act,
  () => session?.tryNow(),
);

/** @type {Session | null} */
let session = null;
/** The input of the session, or of the last one that ended by itself. @type {Input | null} */
let input = null;
/** @type {Captioner} */
let captioner = { state: 'ready', message: '' };
let cameraIsMuted = false;
/** @type {Method[]} */
let methods = [];

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
  if (root.dataset.state === 'idle') scrollTo(0, 0);
  setState('connecting');
  session.run();
}

/** @param {Input} chosen */
function newSession(chosen) {
  const own = new Session(chosen, {
    onConnecting(step) {
      if (own !== session) return;
      if (root.dataset.state === 'reconnecting') stage.showTrying();
      else showProgress(step);
    },
    onLive() {
      if (own !== session) return;
      keepingFocus(() => stage.clear());
      setState('live');
      showCameras();
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
  showCameras();
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
      looking.methods = methods = message.model.methods;
      showCaptioner(message.captioner);
      break;
    case 'caption':
      showCaption(message);
      break;
    case 'stats':
      settings.confirm(message.settings);
      figures.showStats(message);
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
  frozen.open(caption, captions.taken, methods, captions.lastInspected);
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
  if (!isLive()) return;
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
 * @param {State} state
 * @param {Problem} [problem]
 */
function setState(state, problem) {
  const source = state === 'idle' ? undefined : input?.kind;
  root.dataset.state = state;
  setData('problem', problem?.code);
  setData('source', source);
  setData('captioner', isLive() ? captioner.state : undefined);
  const stateLine = element('state');
  const text = state === 'live' ? `Live: ${input?.label}` : STATE_TEXTS[state];
  if (stateLine.textContent !== text) stateLine.textContent = text;
  document.title = state === 'idle' ? 'Sightline' : `${STATE_TEXTS[state]} · Sightline`;
  stopButton.textContent = state === 'problem' ? 'Close' : 'Stop';
  for (const [kind, button] of Object.entries(startButtons)) {
    if (kind === source) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

function isLive() {
  return root.dataset.state === 'live' || root.dataset.state === 'paused';
}

/**
 * @param {string} name  Of a data attribute of the root element.
 * @param {string | undefined} value  None takes the attribute away.
 */
function setData(name, value) {
  if (value === undefined) delete root.dataset[name];
  else root.dataset[name] = value;
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

function newCamera(deviceId = cameraPicker.value) {
  return new Camera(deviceId, (muted) => {
    cameraIsMuted = muted;
    showNote();
  });
}

/** Offers the choice of a camera where there is one and the camera is the source. */
async function showCameras() {
  const cameras = await listCameras();
  const current = input instanceof Camera ? input.deviceId : cameraPicker.value;
  cameraPicker.replaceChildren(
    ...cameras.map(({ deviceId, label }) => new Option(label, deviceId)),
  );
  if (cameras.some(({ deviceId }) => deviceId === current)) cameraPicker.value = current;
  element('camera-field').hidden = cameras.length < 2 || input?.kind !== 'camera';
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
  cameraPicker.addEventListener('change', () => start(newCamera()));
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
  onCamerasChanged(showCameras);
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

/**
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @param {new () => E} [kind]
 * @returns {E}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof (kind ?? HTMLElement))) throw new Error(`The page has no ${id}.`);
  return /** @type {E} */ (found);
}

preparePage();
listenToVisitor();
listenToDevice();
