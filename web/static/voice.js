// @ts-check
/** Captions spoken by the browser: one at a time, and after it only the newest. */

/** Some engines forget to say that they are done; then the voice is freed after this long. */
const LONGEST_SENTENCE_MS = 15_000;

export class Voice {
  #on = false;
  /**
   * What is being spoken; held because some browsers collect an utterance that nobody holds,
   * and its events with it.
   *
   * @type {SpeechSynthesisUtterance | null}
   */
  #current = null;
  #waiting = '';
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #watch;

  static get isAvailable() {
    return 'speechSynthesis' in globalThis && 'SpeechSynthesisUtterance' in globalThis;
  }

  /** @param {boolean} on */
  set on(on) {
    this.#on = on;
    if (!on) this.quiet();
  }

  /** @param {string} sentence  Spoken now or, if still the newest then, after the one under way. */
  say(sentence) {
    if (!this.#on || sentence === '') return;
    if (this.#current) this.#waiting = sentence;
    else this.#speak(sentence);
  }

  /** @param {string} sentence */
  #speak(sentence) {
    const utterance = new SpeechSynthesisUtterance(sentence);
    utterance.lang = 'en';
    utterance.onend = utterance.onerror = () => this.#next(utterance);
    this.#current = utterance;
    this.#watch = setTimeout(() => {
      speechSynthesis.cancel();
      this.#next(utterance);
    }, LONGEST_SENTENCE_MS);
    speechSynthesis.speak(utterance);
  }

  /** @param {SpeechSynthesisUtterance} done */
  #next(done) {
    if (done !== this.#current) return;
    const waiting = this.#waiting;
    this.#free();
    if (waiting !== '' && this.#on) this.#speak(waiting);
  }

  /** Falls silent at once; what comes next is spoken again. */
  quiet() {
    this.#free();
    if (Voice.isAvailable) speechSynthesis.cancel();
  }

  #free() {
    clearTimeout(this.#watch);
    this.#current = null;
    this.#waiting = '';
  }
}
