// The end-to-end tests and what else runs in Node itself, outside web/: `eslint --config web/eslint.node.config.js e2e` at the root.
// A name that nothing defines is found here in a second, and by the test that uses it after ten minutes.
import globals from 'globals';
import ts from 'typescript-eslint';

export default ts.config(...ts.configs.recommended, {
  languageOptions: { globals: { ...globals.node, ...globals.browser } },
  rules: { eqeqeq: 'error', 'no-undef': 'error' },
});
