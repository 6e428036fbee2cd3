import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const API = process.env.EVERYPATH_API ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [svelte()],
  // Inlined assets are data: URIs, which the page's policy (default-src 'self') refuses.
  build: {
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    // Which script needs which: scripts/finish-build.mjs weighs each page by it, and takes it away.
    manifest: true,
    target: 'es2022',
    reportCompressedSize: false,
    // What nearly every page needs, in one file: small ones are compressed each by itself, and every page names them all.
    rolldownOptions: {
      output: {
        codeSplitting: { groups: [{ name: 'shared', test: /\/src\//, minShareCount: 20 }] },
      },
    },
  },
  css: { preprocessorOptions: { scss: { silenceDeprecations: ['if-function'] } } },
  server: {
    host: '127.0.0.1',
    proxy: {
      '/api': { target: API, ws: true },
      '/healthz': API,
      '/readyz': API,
    },
  },
  // Without the browser condition Svelte resolves to its server build and nothing can be mounted.
  ...(process.env.VITEST ? { resolve: { conditions: ['browser'] } } : {}),
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
