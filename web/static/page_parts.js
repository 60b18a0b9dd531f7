// @ts-check
/** The elements of the live views, as the page has them. */

import { element } from './element.js';

export function captionParts() {
  return {
    lead: element('lead'),
    caption: element('caption'),
    sentence: element('sentence'),
    age: element('age'),
    sightline: element('sightline'),
    certainty: element('certainty'),
    panel: element('screen'),
  };
}

export function guessParts() {
  return { row: element('doubt'), toggle: element('show-guess'), guess: element('guess') };
}

export function settingsParts() {
  return {
    interval: element('interval', HTMLInputElement),
    intervalText: element('interval-text'),
    beam: element('beam-width', HTMLSelectElement),
    overlay: element('picture-overlay', HTMLSelectElement),
    explanations: element('explanations', HTMLSelectElement),
    confirmation: element('confirmation'),
    reason: element('settings-reason'),
  };
}

/** @param {HTMLVideoElement} video */
export function stageParts(video) {
  return {
    video,
    frame: element('stage'),
    note: element('note'),
    overlay: element('overlay'),
    title: element('overlay-title'),
    advice: element('overlay-advice'),
    detail: element('overlay-detail'),
    countdown: element('overlay-countdown'),
    actions: element('overlay-actions'),
  };
}

export function feedListParts() {
  return { section: element('feeds'), list: element('feed-list') };
}

export function publishingParts() {
  return {
    section: element('publishing'),
    form: element('publish', HTMLFormElement),
    name: element('publish-name', HTMLInputElement),
    told: element('publish-told'),
    shared: element('published'),
    address: element('published-address'),
    viewers: element('published-viewers'),
    stop: element('unpublish'),
  };
}
