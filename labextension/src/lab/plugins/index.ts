/** The plugins of the JupyterLab extension: each puts one thing of `src/ui` in one place of JupyterLab. */
import { fileBrowser } from './file_browser';
import { launcher } from './launcher';
import { main } from './main';
import { notebooks } from './notebooks';
import { notices } from './notices';
import { sidebar } from './sidebar';
import { statusBar } from './status_bar';

export default [main, sidebar, launcher, fileBrowser, notebooks, statusBar, notices];
