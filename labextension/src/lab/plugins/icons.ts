/** Icons of JupyterLab's own kind: its style sheet colours them for each theme. */
import { LabIcon } from '@jupyterlab/ui-components';

const draw = (name: string, shapes: string) =>
  new LabIcon({
    name: `mldeploy:${name}`,
    svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><g class="jp-icon3" fill="none" stroke="#616161" stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round">${shapes}</g></svg>`,
  });

/** A model that is put on a server. */
export const deployIcon = draw('deploy', '<path d="M8 9V2M5.25 4.75L8 2l2.75 2.75"/><rect x="1.75" y="9.75" width="12.5" height="4.5" rx="1"/><path d="M4.5 12h.01M7 12h.01"/>');
export const modelIcon = draw('model', '<circle cx="4" cy="4" r="1.75"/><circle cx="4" cy="12" r="1.75"/><circle cx="12" cy="8" r="1.75"/><path d="M5.6 4.8l4.8 2.4M5.6 11.2l4.8-2.4"/>');
