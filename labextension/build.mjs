// Bundles the panel: ../mldeploy_jupyter/notebook/static/{panel.js,panel.css}. --watch builds again on every change.
import { context } from 'esbuild';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const bundle = await context({
  absWorkingDir: here('.'),
  entryPoints: { panel: here('src/widget.ts') },
  outdir: here('../mldeploy_jupyter/notebook/static'),
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  // Elements as h(...) calls are 4 kB shorter than what `tsconfig.json` asks of tsc and vitest.
  tsconfigRaw: { compilerOptions: { jsx: 'react', jsxFactory: 'h', jsxFragmentFactory: 'Fragment' } },
  inject: [here('jsx.mjs')],
  // Properties of our own components and values. Never one of the protocol, of the DOM, of Preact or of a JSON Schema.
  mangleProps: /^(buttonRef|drawn|expanded|goTo|growing|optional|registering|scalar|secondsSince|shape|on(Begun|Choose|Deleted|Dismiss|Keep|Pick|Register|Value|Yes))$/,
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
});
const style = await context({
  absWorkingDir: here('.'),
  entryPoints: { panel: here('style/panel.css') },
  outdir: here('../mldeploy_jupyter/notebook/static'),
  bundle: true,
  minify: true,
  charset: 'utf8',
  logLevel: 'warning',
});
const watch = process.argv.includes('--watch');
for (const part of [bundle, style]) {
  if (watch) await part.watch();
  else {
    await part.rebuild();
    await part.dispose();
  }
}
