// Bundles the JupyterLab extension: ../mldeploy_jupyter/labextension, which JupyterLab and Notebook 7 load as it is.
//
// They load extensions as containers of module federation: a script that registers an object with `init`, which gets
// the packages that the page shares, and `get`, which returns a module. That is all that is needed of it, so esbuild
// makes the module and container.js is the container: a build from a clone needs no package of JupyterLab's, whose own
// builder takes 180 MB and half a minute to install.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { build, transform } from 'esbuild';
import { fileURLToPath } from 'node:url';
import { OPTIONS, PARTS, partOptions } from './build.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const NAME = 'mldeploy-jupyter'; // of the extension, its folder and its settings
const OUTPUT = here('../mldeploy_jupyter/labextension');

// Packages that the page has, and of which there may be one only.
const SHARED = ['@jupyterlab/*', '@lumino/*'];

/** Bundles the extension. `output` is the folder that is named after it below share/jupyter/labextensions. */
export async function buildLab(output = OUTPUT) {
  const own = JSON.parse(await readFile(here('package.json'), 'utf8'));
  const types = JSON.parse(await readFile(here('types/package.json'), 'utf8'));
  const { mangleProps: _, ...options } = OPTIONS; // its names are JupyterLab's, too
  const files = new Map();
  const add = (stem, suffix, text) => {
    const name = `${stem}.${createHash('sha256').update(text).digest('hex').slice(0, 20)}.${suffix}`;
    files.set(`static/${name}`, text);
    return name;
  };
  const parts = {};
  for (const name of PARTS) {
    const part = await build({ ...partOptions(name, options), write: false });
    parts[name] = add(name, 'js', part.outputFiles[0].text);
  }
  const bundled = await build({
    ...options,
    define: { PARTS: JSON.stringify(parts) },
    entryPoints: [here('src/lab/plugins/index.ts')],
    external: SHARED,
    format: 'cjs',
    metafile: true,
    write: false,
    // A function of what gets a shared package, as `require` does, and of the folder that this stands in.
    banner: { js: 'export default (require, FOLDER) => { const module = { exports: {} };' },
    footer: { js: 'return module.exports; }' },
  });
  const style = await build({
    absWorkingDir: here('.'),
    entryPoints: [here('style/lab.css')],
    bundle: true,
    minify: true,
    charset: 'utf8',
    write: false,
    logLevel: 'warning',
  });
  const shared = [...new Set(Object.values(bundled.metafile.outputs).flatMap(({ imports }) => imports.map(({ path }) => path)))].sort();
  const module = add('lab', 'js', bundled.outputFiles[0].text);
  const css = add('lab', 'css', style.outputFiles[0].text);
  const container = await transform(await readFile(here('src/lab/container.js'), 'utf8'), {
    minify: true,
    target: options.target,
    define: Object.fromEntries(Object.entries({ NAME, MODULE: module, STYLE: css, SHARED: shared }).map(([key, value]) => [key, JSON.stringify(value)])),
  });
  const load = `static/${add('remoteEntry', 'js', container.code)}`;
  const about = {
    name: NAME,
    version: own.version,
    description: 'Deploy models from JupyterLab, and see services and models in its sidebar.',
    license: own.license,
    // JupyterLab says of an extension whether it goes with its own packages, by the packages that it names here.
    dependencies: Object.fromEntries(shared.map((name) => [name, types.devDependencies[name].replace('~', '^')])),
    jupyterlab: { extension: true, schemaDir: 'schema', _build: { load, extension: './extension', style: './style' } },
  };
  files.set('package.json', `${JSON.stringify(about, null, 2)}\n`);
  files.set(`schemas/${NAME}/package.json.orig`, files.get('package.json'));
  files.set(`schemas/${NAME}/plugin.json`, await readFile(here('schema/plugin.json'), 'utf8'));
  files.set('install.json', `${JSON.stringify({
    packageManager: 'python',
    packageName: NAME,
    uninstallInstructions: `Run pip uninstall ${NAME} in the Python environment that JupyterLab runs in`,
  }, null, 2)}\n`);
  await rm(output, { recursive: true, force: true });
  for (const [name, text] of files) {
    const path = `${output}/${name}`;
    await mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    await writeFile(path, text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildLab(process.argv[2]);
