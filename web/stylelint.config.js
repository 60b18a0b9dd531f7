export default {
  extends: 'stylelint-config-standard',
  rules: {
    'custom-property-empty-line-before': null,
    // Rules are grouped by component, not by specificity.
    'no-descending-specificity': null,
    // Safari on iOS knows this one with its prefix only.
    'property-no-vendor-prefix': [true, { ignoreProperties: ['-webkit-text-size-adjust'] }],
    'selector-max-id': 0,
    'value-keyword-case': ['lower', { ignoreProperties: ['--sans'] }],
  },
};
