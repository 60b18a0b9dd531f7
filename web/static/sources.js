// @ts-check
/** What the visitor can choose to have captioned: a camera, the demo, a file, or a feed. */

import { Camera, cameraIsHidden } from './camera.js';
import { CameraChoice } from './camera_choice.js';
import { canConnect } from './connection.js';
import { element } from './element.js';
import { OwnFile } from './file.js';
import { Demo, WatchedFeed } from './inputs.js';

/** @typedef {import('./feed.js').WatchableFeed} WatchableFeed */
/** @typedef {import('./inputs.js').Input} Input */

export class Sources {
  #choose;
  #onMuted;
  #fileField = element('file', HTMLInputElement);
  #cameraChoice;
  /** The buttons of those that one has a session of one's own with. */
  buttons = {
    camera: element('start-camera', HTMLButtonElement),
    demo: element('start-demo', HTMLButtonElement),
    file: element('start-file', HTMLButtonElement),
  };

  /**
   * @param {(input: Input) => void} choose
   * @param {(muted: boolean) => void} onMuted  Told when the camera is covered, or no more.
   */
  constructor(choose, onMuted) {
    this.#choose = choose;
    this.#onMuted = onMuted;
    this.#cameraChoice = new CameraChoice(
      { field: element('camera-field'), picker: element('camera', HTMLSelectElement) },
      () => choose(this.camera()),
    );
    if (cameraIsHidden()) {
      element('about-camera').textContent =
        'Browsers give a camera to https pages only: start the server with --https.';
    }
    this.#listen();
  }

  /** The camera that was chosen, not opened yet. */
  camera() {
    return new Camera(this.#cameraChoice.deviceId, this.#onMuted);
  }

  demo() {
    return new Demo();
  }

  /** @param {string} name @param {string} [title] */
  feed(name, title) {
    return new WatchedFeed(name, title);
  }

  askForFile() {
    this.#fileField.click();
  }

  /** @param {Input | null} input  Whose button is to have the focus; the first one if none. */
  focus(input) {
    const { camera, demo, file } = this.buttons;
    (input?.kind === 'demo' ? demo : input?.kind === 'file' ? file : camera).focus();
  }

  /** @param {Input | null} input  The one in use, whose camera can be changed if it is one. */
  showCameras(input) {
    this.#cameraChoice.show(input);
  }

  /** None of them can be had in this browser. */
  disable() {
    for (const button of Object.values(this.buttons)) button.disabled = true;
  }

  /** Offers only what a viewer may choose. */
  offerFeedsOnly() {
    element('own-sources').hidden = true;
    element('viewer-only').hidden = false;
    element('first-step').textContent = 'Choose a feed.';
  }

  get #areOffered() {
    return canConnect() && !element('own-sources').hidden;
  }

  #listen() {
    const { camera, demo, file } = this.buttons;
    camera.addEventListener('click', () => this.#choose(this.camera()));
    demo.addEventListener('click', () => this.#choose(this.demo()));
    file.addEventListener('click', () => this.askForFile());
    this.#fileField.addEventListener('change', () => {
      this.#takeFile(this.#fileField.files?.[0]);
      this.#fileField.value = '';
    });
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      if (this.#areOffered) this.#takeFile(event.dataTransfer?.files[0]);
    });
  }

  /** @param {File | undefined} file */
  #takeFile(file) {
    if (file) this.#choose(new OwnFile(file));
  }
}
