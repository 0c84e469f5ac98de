// Builds the gallery into a folder: npm run gallery -- FOLDER. Open its index.html through a web server.
import { cp, mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { OPTIONS } from '../build.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = process.argv[2];
if (!folder) {
  console.error('usage: npm run gallery -- FOLDER');
  process.exit(2);
}
const outdir = resolve(process.env.INIT_CWD ?? '.', folder); // npm runs scripts in the package's folder
await mkdir(outdir, { recursive: true });
await build({ ...OPTIONS, entryPoints: { gallery: here('gallery.tsx') }, outdir });
await build({ entryPoints: { panel: here('../style/panel.css'), sidebar: here('../style/sidebar.css') }, outdir, bundle: true });
for (const name of ['index.html', 'themes.css']) await cp(here(name), resolve(outdir, name));
await cp(here('../node_modules/axe-core/axe.min.js'), resolve(outdir, 'axe.min.js'));
