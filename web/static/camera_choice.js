// @ts-check
/** Which camera, where there is a choice. */

import { Camera, listCameras } from './camera.js';

/** @typedef {import('./inputs.js').Input} Input */

export class CameraChoice {
  #field;
  #picker;

  /**
   * @param {object} parts
   * @param {HTMLElement} parts.field  Around the picker.
   * @param {HTMLSelectElement} parts.picker
   * @param {() => void} onChosen
   */
  constructor({ field, picker }, onChosen) {
    this.#field = field;
    this.#picker = picker;
    picker.addEventListener('change', onChosen);
  }

  /** The device that is chosen; empty for the default one. */
  get deviceId() {
    return this.#picker.value;
  }

  /**
   * Offers the choice where there is one and a camera is the source.
   *
   * @param {Input | null} input
   */
  async show(input) {
    const cameras = await listCameras();
    const current = input instanceof Camera ? input.deviceId : this.#picker.value;
    this.#picker.replaceChildren(
      ...cameras.map(({ deviceId, label }) => new Option(label, deviceId)),
    );
    if (cameras.some(({ deviceId }) => deviceId === current)) this.#picker.value = current;
    this.#field.hidden = cameras.length < 2 || input?.kind !== 'camera';
  }
}
