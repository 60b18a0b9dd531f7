// @ts-check
/** Puts the page together: one session at a time, its views, and the state that all can see. */

import { showAccount } from './account.js';
import { Analyses } from './analyses.js';
import { AnalysisNotice } from './analysis_notice.js';
import { Announcer } from './announcer.js';
import { Camera, onCamerasChanged } from './camera.js';
import { CaptionView } from './captions.js';
import { canConnect } from './connection.js';
import { GuessView, said } from './doubt.js';
import { element } from './element.js';
import { FeedList } from './feed_list.js';
import { Feeds } from './feeds.js';
import { FiguresView } from './figures.js';
import { FrozenView } from './frozen.js';
import { frozenParts } from './frozen_parts.js';
import { OwnFile } from './file.js';
import { HistoryView } from './history.js';
import { WatchedFeed } from './inputs.js';
import { Legend } from './legend.js';
import { Looking } from './looking.js';
import { MapCanvas } from './map_canvas.js';
import { ObjectsView } from './objects.js';
import {
  captionParts,
  feedListParts,
  guessParts,
  publishingParts,
  settingsParts,
  stageParts,
} from './page_parts.js';
import { PageState } from './page_state.js';
import { Problem } from './problems.js';
import { Publishing } from './publishing.js';
import { Questions } from './questions.js';
import { addressedFeed, goToLogin, showAddressOf } from './route.js';
import { Session } from './session.js';
import { SettingsView } from './settings.js';
import { Sources } from './sources.js';
import { Stage } from './stage.js';
import { StageNotes } from './stage_notes.js';
import { thinningText } from './thinning.js';
import { Voice } from './voice.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./problems.js').Action} Action */
/** @typedef {import('./protocol.js').Caption} Caption */
/** @typedef {import('./protocol.js').Hello} Hello */
/** @typedef {import('./protocol.js').Method} Method */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */
/** @typedef {import('./protocol.js').Stats} Stats */

const stopButton = element('stop', HTMLButtonElement);
const freezeButton = element('freeze', HTMLButtonElement);
const speakSwitch = element('speak', HTMLInputElement);
const video = element('returned-video', HTMLVideoElement);
const aboutExplanations = element('about-explanations').textContent;

const sources = new Sources(start, (muted) => {
  notes.cameraIsMuted = muted;
});
const pageState = new PageState({
  line: element('state'),
  stop: stopButton,
  sources: sources.buttons,
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
const history = new HistoryView(element('history'), (rows) => {
  element('history-section').hidden = rows === 0;
});
const figures = new FiguresView(element('figures'));
const settings = new SettingsView(settingsParts(), (wanted) =>
  session?.send({ type: 'configure', ...wanted }),
);
const stage = new Stage(stageParts(video), act, () => session?.tryNow());
const notes = new StageNotes(stage);
const feedList = new FeedList(feedListParts(), ({ name, title }) => start(sources.feed(name, title)));
const feeds = new Feeds({
  onFeeds: (all) => feedList.show(all),
  onCaption: (feed) => feedList.update(feed),
  onLoggedOut: () => session ?? fail(new Problem('logged-out')),
});
const publishing = new Publishing(publishingParts(), publish, (name) => !!feeds.find(name));

/** @type {Session | null} */
let session = null;
/** The input of the session, or of the last one that ended by itself. @type {Input | null} */
let input = null;
/** @type {Method[]} */
let methods = [];
/** The name of the session's stream. */
let stream = '';
/** @type {import('./account.js').Role} */
let role = 'admin';

/** @param {Input} chosen */
function start(chosen) {
  session?.stop();
  loseTouch();
  captions.clear();
  announcer.reset();
  stage.empty();
  notes.clear();
  input = chosen;
  session = newSession(chosen);
  showWhatIsWatched();
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
      sources.showCameras(input);
      showPublishing();
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
  const ended = input;
  session?.stop();
  session = null;
  input = null;
  loseTouch();
  captions.clear();
  announcer.reset();
  stage.empty();
  voice.quiet();
  notes.clear();
  setState('idle');
  showWhatIsWatched();
  showPublishing();
  if (ended instanceof WatchedFeed) feedList.focus(ended.name);
  else sources.focus(ended);
}

/** @param {Problem} problem  One that only the visitor can mend. */
function fail(problem) {
  if (problem.code === 'name-taken' && isOwn(input)) {
    input.publish = '';
    start(input);
    publishing.refuse(problem.detail);
    return;
  }
  session = null;
  loseTouch();
  setState('problem', problem);
  stage.note('');
  stage.showProblem(problem);
  voice.quiet();
  sources.showCameras(input);
  showPublishing();
}

/** Says in the address and in the list which feed it is, if it is one. */
function showWhatIsWatched() {
  const name = input instanceof WatchedFeed ? input.name : '';
  feedList.current = name;
  showAddressOf(name);
}

/** Goes where the address has gone to, as by the button that goes back. */
function followAddress() {
  const [name, watched] = [addressedFeed(), input instanceof WatchedFeed ? input.name : ''];
  if (name === watched) return;
  if (name === '') stop();
  else start(sources.feed(name, feeds.find(name)?.title));
}

/** @param {string} name  Under which others may watch from now on; empty for no more. */
function publish(name) {
  if (!isOwn(input) || session === null) return;
  input.publish = name;
  loseTouch();
  setState('connecting');
  session.renew();
}

function showPublishing() {
  const mayShare = pageState.isLive && role === 'admin';
  publishing.show(mayShare && isOwn(input) ? input.publish : null);
}

/**
 * Whether it sends pictures of the visitor's own, which others may be let watch.
 *
 * @param {Input | null} candidate
 * @returns {candidate is Camera | OwnFile}
 */
function isOwn(candidate) {
  return candidate instanceof Camera || candidate instanceof OwnFile;
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
      if (input instanceof WatchedFeed && message.watching) input.label = message.watching.title;
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
      publishing.viewers = message.viewers;
      notes.signal = input instanceof WatchedFeed ? message.signal : null;
      showThinning(message);
      showLoad(message);
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

/** @param {Stats} stats  What the server does without, because it has too much to do. */
function showLoad({ load }) {
  const line = element('load');
  if (line.textContent !== load.message) line.textContent = load.message;
}

function freeze() {
  const { caption } = captions;
  if (caption === null || methods.length === 0) return;
  const isAsked = session?.send({ type: 'freeze', seq: caption.seq });
  const about = { stream, seq: caption.seq, caption: said(caption), taken: captions.taken.getTime() };
  frozen.open(caption, about, methods, captions.lastInspected);
  if (!isAsked) frozen.cutOff();
}

/** @param {import('./protocol.js').Captioner} captioner */
function showCaptioner(captioner) {
  notes.captioner = captioner;
  setState(captioner.state === 'paused' ? 'paused' : 'live');
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
  pageState.set(state, input, notes.captioner, problem);
  notes.areShown = pageState.isLive;
}

/** @param {Action} action */
function act(action) {
  switch (action) {
    case 'file':
      sources.askForFile();
      break;
    case 'login':
      goToLogin();
      break;
    case 'start':
      stop();
      break;
    case 'camera':
      keepingFocus(() => start(sources.camera()));
      break;
    default:
      keepingFocus(() => start(action === 'demo' || input === null ? sources.demo() : input));
  }
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

async function prepareForRole() {
  role = await showAccount(element('account'));
  if (role === 'viewer') {
    sources.offerFeedsOnly();
    element('analyses').hidden = true;
  }
  showPublishing();
}

function preparePage() {
  setState('idle');
  if (!Voice.isAvailable) {
    speakSwitch.disabled = true;
    element('about-speak').textContent = 'This browser has no speech.';
  }
  if (!canConnect()) {
    sources.disable();
    fail(new Problem('no-webrtc'));
  }
}

function listenToVisitor() {
  stopButton.addEventListener('click', stop);
  freezeButton.addEventListener('click', freeze);
  element('leave-frozen').addEventListener('click', () => frozen.leave());
  speakSwitch.addEventListener('change', () => {
    voice.on = speakSwitch.checked;
    voice.say(captions.said);
  });
  element('clear-history').addEventListener('click', () => history.clear());
  addEventListener('popstate', followAddress);
}

function listenToDevice() {
  onCamerasChanged(() => sources.showCameras(input));
  video.addEventListener('loadeddata', () => notes.show());
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
prepareForRole();
analyses.takeUp();
listenToVisitor();
listenToDevice();
if (canConnect()) {
  feeds.start();
  followAddress();
}
