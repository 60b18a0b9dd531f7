// @ts-check
/** The elements of the frozen view, as the page has them. */

import { element } from './element.js';

export function frozenParts() {
  return {
    dialog: element('frozen', HTMLDialogElement),
    heading: element('frozen-heading'),
    facts: element('frozen-facts'),
    notice: element('frozen-notice'),
    status: element('frozen-status'),
    leave: element('leave-frozen'),
    body: element('frozen-body'),
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
    analyses: {
      attack: {
        section: element('attack'),
        form: element('attack-form', HTMLFormElement),
        lack: element('attack-lack'),
      },
      attackOptions: {
        norms: element('attack-norms'),
        say: element('attack-say', HTMLInputElement),
        sayWords: element('attack-say-words'),
        lose: element('attack-lose', HTMLInputElement),
        loseWords: element('attack-lose-words'),
      },
      concepts: {
        section: element('concepts'),
        form: element('concepts-form', HTMLFormElement),
        lack: element('concepts-lack'),
      },
      conceptOptions: {
        scopes: element('concept-scopes'),
        pictures: element('concept-pictures'),
        wordField: element('concept-word-field'),
        word: element('concept-word', HTMLSelectElement),
      },
    },
  };
}
