import js from '@eslint/js';
import globals from 'globals';

/** Each folder of `static/js` with those that it may import from, besides itself. */
const IMPORTS = {
  common: [],
  heatmaps: ['common'],
  captions: ['common', 'heatmaps'],
  session: ['common', 'heatmaps', 'captions'],
  analysis: ['common', 'heatmaps', 'captions', 'session'],
  study: ['common', 'heatmaps', 'captions', 'session', 'analysis'],
  feeds: ['common', 'captions', 'session'],
  video: ['common'],
  history: ['common', 'captions', 'feeds', 'heatmaps'],
  rules: ['common', 'feeds', 'history'],
  live: ['common', 'heatmaps', 'captions', 'session', 'analysis', 'study', 'feeds', 'video'],
};

export default [
  { ignores: ['node_modules/'] },
  js.configs.recommended,
  {
    files: ['static/js/**/*.js'],
    languageOptions: { globals: globals.browser },
    rules: {
      'array-callback-return': 'error',
      'default-case-last': 'error',
      eqeqeq: 'error',
      'func-style': ['error', 'declaration', { allowArrowFunctions: true }],
      'max-lines': ['error', 400],
      'no-alert': 'error',
      'no-console': 'error',
      'no-else-return': 'error',
      'no-eval': 'error',
      'no-implicit-coercion': ['error', { allow: ['!!'] }],
      'no-param-reassign': ['error', { props: false }],
      'no-promise-executor-return': 'off',
      'no-self-compare': 'error',
      'no-shadow': 'error',
      'no-unneeded-ternary': 'error',
      'no-useless-rename': 'error',
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-arrow-callback': 'error',
      'prefer-const': 'error',
      'prefer-template': 'error',
      radix: 'error',
      'require-await': 'off',
      yoda: 'error',
    },
  },
  ...Object.entries(IMPORTS).map(([folder, allowed]) => ({
    files: [`static/js/${folder}/*.js`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^\\.\\./(?!(${[...allowed, folder].join('|')})/)`,
              message: `${folder} may import from: ${allowed.join(', ') || 'no other folder'}.`,
            },
          ],
        },
      ],
    },
  })),
];
