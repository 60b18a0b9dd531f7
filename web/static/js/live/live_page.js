// @ts-check
/** Puts the page together: one session at a time, where it comes from, and the state of it all. */

import { showAccount } from './account.js';
import { Camera, onCamerasChanged } from './camera.js';
import { canConnect } from './connection.js';
import { element } from './element.js';
import { FeedList } from './feed_list.js';
import { Feeds } from './feeds.js';
import { OwnFile } from './file.js';
import { WatchedFeed } from './inputs.js';
import { LiveView } from './live_view.js';
import { feedListParts, publishingParts, stageParts } from './page_parts.js';
import { PageState } from './page_state.js';
import { Problem } from './problems.js';
import { Publishing } from './publishing.js';
import { addressedFeed, goToLogin, showAddressOf } from './route.js';
import { Session } from './session.js';
import { Sources } from './sources.js';
import { Stage } from './stage.js';
import { StageNotes } from './stage_notes.js';

/** @typedef {import('./inputs.js').Input} Input */
/** @typedef {import('./problems.js').Action} Action */
/** @typedef {import('./protocol.js').Captioner} Captioner */
/** @typedef {import('./protocol.js').ServerMessage} ServerMessage */

const stopButton = element('stop', HTMLButtonElement);
const video = element('returned-video', HTMLVideoElement);

const sources = new Sources(start, (muted) => {
  notes.cameraIsMuted = muted;
});
const pageState = new PageState({
  line: element('state'),
  stop: stopButton,
  sources: sources.buttons,
});
const live = new LiveView(
  video,
  (message) => session?.send(message) ?? false,
  () => session?.delayMs ?? 0,
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
/** @type {import('./account.js').Role} */
let role = 'admin';

/** @param {Input} chosen */
function start(chosen) {
  session?.stop();
  live.loseTouch();
  live.clear();
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
      live.loseTouch();
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
  live.loseTouch();
  live.clear();
  stage.empty();
  live.quiet();
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
  live.loseTouch();
  setState('problem', problem);
  stage.note('');
  stage.showProblem(problem);
  live.quiet();
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
  live.loseTouch();
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

/** @param {ServerMessage} message */
function receive(message) {
  const watched = input instanceof WatchedFeed ? input : null;
  if (watched && message.type === 'hello' && message.watching) {
    watched.label = message.watching.title;
  }
  live.hear(message);
  if (message.type === 'stats') {
    publishing.viewers = message.viewers;
    notes.signal = watched && message.signal;
  }
  if (message.type === 'hello' || message.type === 'stats') showCaptioner(message.captioner);
}

/** @param {Captioner} captioner */
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
  if (!canConnect()) {
    sources.disable();
    fail(new Problem('no-webrtc'));
  }
}

function listenToVisitor() {
  stopButton.addEventListener('click', stop);
  addEventListener('popstate', followAddress);
}

function listenToDevice() {
  onCamerasChanged(() => sources.showCameras(input));
  video.addEventListener('loadeddata', () => notes.show());
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
listenToVisitor();
listenToDevice();
if (canConnect()) {
  feeds.start();
  followAddress();
}
