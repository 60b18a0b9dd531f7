// @ts-check
/** The live page: one session at a time, its input, and the page's state. */

import { Example } from '../captions/example.js';
import { showAccount } from '../common/account.js';
import { getElement } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { feedInUrl, openLogin, pushFeedUrl } from '../common/routes.js';
import { Shortcuts } from '../common/shortcuts.js';
import { FeedList } from '../feeds/feed_list.js';
import { FeedStore } from '../feeds/feed_store.js';
import { ShareLink, shareLinkElements } from '../feeds/share_link.js';
import { CameraInput, onCamerasChanged } from '../session/camera_input.js';
import { FileInput } from '../session/file_input.js';
import { DemoInput, FeedInput } from '../session/inputs.js';
import { isWebRtcSupported } from '../session/peer_connection.js';
import { Problem } from '../session/problems.js';
import { Session } from '../session/session.js';
import { CaptionerCard } from './captioner_card.js';
import { PageState } from './page_state.js';
import { ScreenControls } from './screen_controls.js';
import { SessionView } from './session_view.js';
import { ShareForm, shareFormElements } from './share_form.js';
import { SourcePicker } from './source_picker.js';
import { StreamStatus } from './stream_status.js';
import { VideoStage, videoStageElements } from './video_stage.js';

/** @typedef {import('../common/account.js').Role} Role */
/** @typedef {import('../session/inputs.js').Input} Input */
/** @typedef {import('../session/messages.js').Captioner} Captioner */
/** @typedef {import('../session/messages.js').ServerMessage} ServerMessage */
/** @typedef {import('../session/problems.js').Action} Action */
/** @typedef {import('./page_state.js').State} State */

const stopButton = getElement('stop', HTMLButtonElement);
const video = getElement('returned-video', HTMLVideoElement);

const sources = new SourcePicker(start, (muted) => {
  status.isCameraMuted = muted;
});
const pageState = new PageState({
  label: getElement('state'),
  stop: stopButton,
  sources: sources.buttons,
});
const stage = new VideoStage(videoStageElements(video), act, () => session?.retryNow());
const view = new SessionView(
  video,
  (message) => session?.send(message) ?? false,
  () => session?.delayMs ?? 0,
  (mode) => {
    stage.mode = mode;
  },
);
const status = new StreamStatus(stage);
const captionerCard = new CaptionerCard({
  facts: getElement('captioner-facts'),
  details: getElement('captioner-details'),
  more: getElement('captioner-more'),
  status: getElement('captioner-status'),
});
const example = new Example({
  photograph: getElement('example-photograph', HTMLImageElement),
  map: getElement('example-map', HTMLCanvasElement),
  words: getElement('example-words'),
  detail: getElement('example-detail'),
  pause: getElement('example-pause', HTMLButtonElement),
});
const feedList = new FeedList(
  { section: getElement('feeds'), list: getElement('feed-list') },
  ({ name, title }) => start(new FeedInput(name, title)),
);
const feeds = new FeedStore({
  onFeeds(all) {
    feedList.show(all);
    shareForm.isStored = feeds.areStored;
  },
  onCaption: (feed) => feedList.update(feed),
  onLoggedOut: () => session ?? fail(new Problem('logged-out')),
});
const shareForm = new ShareForm(shareFormElements(), publish, (name) => !!feeds.find(name));

const shareLink = new ShareLink(shareLinkElements());
const screenControls = new ScreenControls({
  screen: getElement('screen'),
  fullscreen: getElement('fullscreen'),
  size: getElement('caption-size', HTMLSelectElement),
});

/** @type {Session | null} */
let session = null;
/** The input of the session, or of the last one that ended by itself. @type {Input | null} */
let input = null;
/** @type {Role} */
let role = 'admin';

/** @param {Input} chosen */
function start(chosen) {
  session?.stop();
  view.disconnect();
  view.clear();
  stage.clear();
  status.clear();
  input = chosen;
  session = createSession(chosen);
  view.begin(chosen, isPublished(chosen));
  showWatchedFeed();
  if (pageState.current === 'idle') scrollTo(0, 0);
  setState('connecting');
  session.run();
}

/** @param {Input} chosen */
function createSession(chosen) {
  const created = new Session(chosen, {
    onConnecting(step) {
      if (created !== session) return;
      if (pageState.current === 'reconnecting') stage.showRetrying();
      else showProgress(step);
    },
    onLive() {
      if (created !== session) return;
      keepFocus(() => stage.hideOverlay());
      setState('live');
      sources.updateCameras(input);
      updateShareForm();
    },
    onReconnecting(problem, retryAt) {
      if (created !== session) return;
      view.disconnect();
      setState('reconnecting', problem);
      stage.showRetry(problem, retryAt);
      stage.showNote('');
    },
    onProblem(problem) {
      if (created === session) fail(problem);
    },
    onMessage(message) {
      if (created === session) receive(message);
    },
    onInput(track) {
      if (created === session) stage.input = track && new MediaStream([track]);
    },
    onVideo(stream) {
      if (created === session) stage.returned = stream;
    },
  });
  return created;
}

function stop() {
  const stopped = input;
  session?.stop();
  session = null;
  input = null;
  view.disconnect();
  view.clear();
  stage.clear();
  view.stopSpeech();
  status.clear();
  setState('idle');
  showWatchedFeed();
  updateShareForm();
  if (stopped instanceof FeedInput) feedList.focus(stopped.name);
  else sources.focus(stopped);
}

/** Ends the session with a problem that only the user can solve. @param {Problem} problem */
function fail(problem) {
  if (problem.code === 'name-taken' && isPublishable(input)) {
    input.publish = '';
    start(input);
    shareForm.showError(problem.detailNode);
    return;
  }
  session = null;
  view.disconnect();
  setState('problem', problem);
  stage.showNote('');
  stage.showProblem(problem);
  view.stopSpeech();
  sources.updateCameras(input);
  updateShareForm();
}

/** The watched feed's name; empty if the input is not a feed. */
function watchedFeed() {
  return input instanceof FeedInput ? input.name : '';
}

/** Shows in the URL and in the list which feed is watched. */
function showWatchedFeed() {
  feedList.current = watchedFeed();
  pushFeedUrl(watchedFeed());
}

/** Starts what the URL names, after the user went back or forward. */
function openUrl() {
  const name = feedInUrl();
  if (name === watchedFeed()) return;
  if (name === '') stop();
  else start(new FeedInput(name, feeds.find(name)?.title));
}

/** @param {string} name  The name to publish the session under; empty to stop publishing. */
function publish(name) {
  if (!isPublishable(input) || session === null) return;
  input.publish = name;
  view.begin(input, isPublished(input));
  view.disconnect();
  setState('connecting');
  session.reconnect();
}

function updateShareForm() {
  const mayPublish = pageState.isLive && role === 'admin';
  const published = isPublishable(input) ? input.publish : '';
  shareForm.show(mayPublish && isPublishable(input) ? published : null);
  shareLink.show(pageState.isLive ? watchedFeed() || published : '');
}

/**
 * @param {Input | null} candidate
 * @returns {candidate is CameraInput | FileInput}  Whether it sends the user's own video.
 */
function isPublishable(candidate) {
  return candidate instanceof CameraInput || candidate instanceof FileInput;
}

/** @param {Input} candidate  @returns {boolean}  Whether others may watch it. */
function isPublished(candidate) {
  return isPublishable(candidate) && candidate.publish !== '';
}

/** @param {ServerMessage} message */
function receive(message) {
  const watched = input instanceof FeedInput ? input : null;
  if (watched && message.type === 'hello' && message.watching) {
    watched.label = message.watching.title;
  }
  if (message.type === 'hello' && message.model) captionerCard.show(message.model);
  view.receive(message);
  if (message.type === 'stats') {
    shareForm.viewers = message.viewers;
    status.signal = watched && message.signal;
  }
  if (message.type === 'hello' || message.type === 'stats') showCaptioner(message.captioner);
}

/** @param {Captioner} captioner */
function showCaptioner(captioner) {
  status.captioner = captioner;
  setState(captioner.state === 'paused' ? 'paused' : 'live');
}

/** @param {'input' | 'server'} step */
function showProgress(step) {
  if (step === 'server') {
    stage.showProgress(gettext('Connecting'), gettext('Setting up video with the server.'));
  } else if (input?.kind === 'camera') {
    stage.showProgress(
      gettext('Opening the camera'),
      gettext('If your browser asks, choose “Allow”.'),
    );
  } else if (input?.kind === 'file') {
    stage.showProgress(gettext('Opening your file'), input.label);
  }
}

/**
 * @param {State} state
 * @param {Problem} [problem]
 */
function setState(state, problem) {
  pageState.set(state, input, status.captioner, problem);
  status.isShown = pageState.isLive;
  example.isShown = state === 'idle';
  // Only then: a listener keeps browsers from storing the page for the way back.
  if (pageState.isLive && input?.kind !== 'feed') {
    addEventListener('beforeunload', confirmLeaving);
  } else {
    removeEventListener('beforeunload', confirmLeaving);
  }
}

/** Carries out an action that a problem offers. @param {Action} action */
function act(action) {
  switch (action) {
    case 'file':
      sources.openFileDialog();
      break;
    case 'login':
      openLogin();
      break;
    case 'start':
      stop();
      break;
    case 'camera':
      keepFocus(() => start(sources.camera()));
      break;
    default:
      keepFocus(() => start(action === 'demo' || input === null ? new DemoInput() : input));
  }
}

/**
 * Moves the focus to the stop button if a change removes the overlay button that has it.
 *
 * @param {() => void} change
 */
function keepFocus(change) {
  const wasInOverlay = getElement('overlay').contains(document.activeElement);
  change();
  if (wasInOverlay) stopButton.focus();
}

async function applyRole() {
  role = await showAccount(getElement('account'));
  shareLink.needsToken = !getElement('account').hidden;
  if (role === 'viewer') {
    sources.offerFeedsOnly();
    view.allowsAnalyses = false;
  }
  updateShareForm();
}

/** Asks before the page with the user's own session is left. @param {BeforeUnloadEvent} event */
function confirmLeaving(event) {
  event.preventDefault();
}

/** @param {string} id  Of a control that a shortcut operates, if it is shown. */
function operate(id) {
  const control = getElement(id);
  if (control.checkVisibility()) control.click();
}

function addShortcuts() {
  new Shortcuts(
    {
      dialog: getElement('shortcuts', HTMLDialogElement),
      open: getElement('open-shortcuts'),
      close: getElement('close-shortcuts'),
      enabled: getElement('shortcuts-on', HTMLInputElement),
    },
    new Map([
      ['k', () => operate('freeze')],
      ['s', () => operate('stop')],
      ['f', () => operate('fullscreen')],
      ['v', () => operate('speak')],
      ['c', () => operate('copy-captions')],
      ['+', () => screenControls.changeSize(1)],
      ['-', () => screenControls.changeSize(-1)],
    ]),
  );
}

function addListeners() {
  stopButton.addEventListener('click', stop);
  addEventListener('popstate', openUrl);
  onCamerasChanged(() => sources.updateCameras(input));
  video.addEventListener('loadeddata', () => status.update());
  addEventListener('online', () => session?.retryNow());
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) session?.retryNow();
  });
  addEventListener('pagehide', () => session?.stop());
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted || session === null || input === null) return;
    if (input.kind === 'camera') fail(new Problem('camera-released'));
    else start(input);
  });
}

setState('idle');
if (!isWebRtcSupported()) {
  sources.disable();
  fail(new Problem('no-webrtc'));
}
applyRole();
captionerCard.load();
addListeners();
addShortcuts();
if (isWebRtcSupported()) {
  feeds.start();
  openUrl();
}
