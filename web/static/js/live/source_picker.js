// @ts-check
/** The choice of what to caption: a camera, the demo, or a file, by button or by drag and drop. */

import { getElement } from '../common/dom.js';
import { gettext } from '../common/i18n.js';
import { CameraInput, isCameraAvailable, listCameras } from '../session/camera_input.js';
import { FileInput } from '../session/file_input.js';
import { DemoInput } from '../session/inputs.js';
import { isWebRtcSupported } from '../session/peer_connection.js';

/** @typedef {import('../session/inputs.js').Input} Input */

export class SourcePicker {
  #onChosen;
  #onCameraMuted;
  #fileField = getElement('file', HTMLInputElement);
  #cameraField = getElement('camera-field');
  #cameraSelect = getElement('camera', HTMLSelectElement);
  buttons = {
    camera: getElement('start-camera', HTMLButtonElement),
    demo: getElement('start-demo', HTMLButtonElement),
    file: getElement('start-file', HTMLButtonElement),
  };

  /**
   * @param {(input: Input) => void} onChosen
   * @param {(muted: boolean) => void} onCameraMuted  Called when the camera stops or resumes
   *   sending frames.
   */
  constructor(onChosen, onCameraMuted) {
    this.#onChosen = onChosen;
    this.#onCameraMuted = onCameraMuted;
    if (!isCameraAvailable()) {
      getElement('about-camera').textContent = gettext(
        'Browsers allow camera access only over HTTPS. Start the server with --https.',
      );
    }
    this.#addListeners();
  }

  /** Returns the selected camera as an input that is not open yet. */
  camera() {
    return new CameraInput(this.#cameraSelect.value, this.#onCameraMuted);
  }

  openFileDialog() {
    this.#fileField.click();
  }

  /** Focuses the button of an input, or the first one. @param {Input | null} input */
  focus(input) {
    const { camera, demo, file } = this.buttons;
    (input?.kind === 'demo' ? demo : input?.kind === 'file' ? file : camera).focus();
  }

  /**
   * Updates the list of cameras, which is shown while one of several is in use.
   *
   * @param {Input | null} input  The input in use.
   */
  async updateCameras(input) {
    const cameras = await listCameras();
    const select = this.#cameraSelect;
    const current = input instanceof CameraInput ? input.deviceId : select.value;
    select.replaceChildren(...cameras.map(({ deviceId, label }) => new Option(label, deviceId)));
    if (cameras.some(({ deviceId }) => deviceId === current)) select.value = current;
    this.#cameraField.hidden = cameras.length < 2 || input?.kind !== 'camera';
  }

  /** Disables all sources, if this browser has no WebRTC. */
  disable() {
    for (const button of Object.values(this.buttons)) button.disabled = true;
  }

  /** Hides the user's own sources: viewers may only watch feeds. */
  offerFeedsOnly() {
    getElement('own-sources').hidden = true;
    getElement('viewer-only').hidden = false;
    getElement('first-step').textContent = gettext('Choose a feed.');
  }

  #addListeners() {
    const { camera, demo, file } = this.buttons;
    camera.addEventListener('click', () => this.#onChosen(this.camera()));
    demo.addEventListener('click', () => this.#onChosen(new DemoInput()));
    file.addEventListener('click', () => this.openFileDialog());
    this.#cameraSelect.addEventListener('change', () => this.#onChosen(this.camera()));
    this.#fileField.addEventListener('change', () => {
      this.#chooseFile(this.#fileField.files?.[0]);
      this.#fileField.value = '';
    });
    document.addEventListener('dragover', (event) => event.preventDefault());
    document.addEventListener('drop', (event) => {
      event.preventDefault();
      const acceptsFiles = isWebRtcSupported() && !getElement('own-sources').hidden;
      if (acceptsFiles) this.#chooseFile(event.dataTransfer?.files[0]);
    });
  }

  /** @param {File | undefined} file */
  #chooseFile(file) {
    if (file) this.#onChosen(new FileInput(file));
  }
}
