// Bundles the panel: ../mldeploy_jupyter/notebook/static/{panel.js,api.js,latency.js,panel.css}. --watch builds again on every change.
import { readFile } from 'node:fs/promises';
import { build, context } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { ATTRIBUTES } from './jsx.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const LETTERS = Object.fromEntries(Object.entries(ATTRIBUTES).map(([letter, name]) => [name, letter]));
const NAMES = new RegExp(`(?<=\\s)(${Object.keys(LETTERS).join('|')})=(?=["{])`, 'g');

// Attributes that are written often get one letter, and classes lose their prefix: jsx.mjs reads both. 3 kB shorter.
const shorten = (text) =>
  text
    .replace(/(?<=\s)class="((?:mld-[\w-]+ ?)+)"/g, (_, words) => `c="${words.replaceAll('mld-', '')}"`)
    .replace(NAMES, (_, name) => `${LETTERS[name]}=`);

/** A plugin that changes each source of the components with `change`. */
const rewrite = (filter, change) => ({
  name: 'rewrite',
  setup(build) {
    build.onLoad({ filter }, async ({ path }) => ({ contents: change(await readFile(path, 'utf8')), loader: path.endsWith('x') ? 'tsx' : 'ts' }));
  },
});

// The notebook's panel is English: its bundle has plain templates instead of those of translation.ts.
const english = {
  name: 'english',
  setup(build) {
    build.onResolve({ filter: /\/translation$/ }, () => ({ path: here('src/ui/english.ts') }));
  },
};
const untag = (text) => text.replace(/(?<![\w$`])(t|msg)(?=`)/g, '');

const OUTPUT = here('../mldeploy_jupyter/notebook/static');

/** How esbuild makes a module: the gallery, and except for the names the extension. */
export const OPTIONS = {
  absWorkingDir: here('.'),
  bundle: true,
  minify: true,
  plugins: [rewrite(/\.tsx$/, shorten)],
  format: 'esm',
  target: 'es2022',
  // Elements as h(...) calls are 4 kB shorter than what `tsconfig.json` asks of tsc and vitest.
  tsconfigRaw: { compilerOptions: { jsx: 'react', jsxFactory: 'h', jsxFragmentFactory: 'Fragment' } },
  inject: [here('jsx.mjs')],
  // Properties of our own components and values. Never one of the protocol, of the DOM, of Preact or of a JSON Schema.
  mangleProps: /^(answered|ask|asked|buffer|buttonRef|capacity|chosen|clockTime|colour|columns|compact|danger|dangerFill|describe|describedBy|dismiss|draft|drawn|dropped|expanded|folded|given|goTo|growing|heightOf|isNull|layout|listeners|look|measure|movedUp|nullable|optional|order|pressed|question|received|registering|revisions|scalar|scheduled|secondsSince|shape|shared|spin|tail|word|on(Begun|Choose|Close|Deleted|Dismiss|Failure|File|Fold|Keep|No|Pick|Register|Slow|Text|Try|Value|Yes))$/,
  charset: 'utf8',
  legalComments: 'none',
  logLevel: 'warning',
};
/** The parts: folders of `src/ui`. Each leaves out what the panel's module lends it: `src/ui/shared.ts`, with Preact. */
export const PARTS = ['api', 'latency'];

const borrow = {
  name: 'borrow',
  setup(build) {
    build.onResolve({ filter: /^preact$|\/shared$/ }, () => ({ path: 'shared', external: true }));
  },
};

/** How esbuild makes the module of a part. It exports a function of `require`, which returns what is lent. */
export const partOptions = (name, options) => ({
  ...options,
  entryPoints: [here(`src/ui/${name}/index.ts`)],
  format: 'cjs',
  plugins: [...options.plugins, borrow],
  banner: { js: 'export default (require) => { const module = { exports: {} };' },
  footer: { js: 'return module.exports; }' },
});

// All modules give the same short names to the properties that they share.
const buildParts = {
  name: 'build-parts',
  setup({ onEnd }) {
    onEnd(async ({ mangleCache }) => {
      const options = { ...OPTIONS, plugins: [english, rewrite(/\.tsx?$/, (text) => shorten(untag(text)))] };
      for (const name of PARTS) await build({ ...partOptions(name, options), mangleCache, outfile: `${OUTPUT}/${name}.js` });
    });
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();

async function main() {
  const bundle = await context({
    ...OPTIONS,
    plugins: [english, buildParts, rewrite(/\.tsx?$/, (text) => shorten(untag(text)))],
    mangleCache: {},
    entryPoints: { panel: here('src/widget.ts') },
    outdir: OUTPUT,
  });
  const style = await context({
    absWorkingDir: here('.'),
    entryPoints: { panel: here('style/panel.css') },
    outdir: OUTPUT,
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
}
