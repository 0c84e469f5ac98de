/** What the context menu of a file offers: register a model file, deploy a script. `schema/plugin.json` has its entries. */
import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { type FileBrowser, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import { diskPath, isModelFile, isModelFolder, isScript, modelName, modelPath } from '../places';
import { deployIcon, modelIcon } from './icons';
import { CommandIds, IDeployments, NAMESPACE, ROOT } from './tokens';

const HOVER_MS = 100; // under the mouse for so long before a folder is read: it is passed over otherwise

export const fileBrowser: JupyterFrontEndPlugin<void> = {
  id: `${NAMESPACE}:file-browser`,
  description: 'Entries of the file browser: register a model file, deploy an entry script.',
  autoStart: true,
  requires: [IDeployments],
  optional: [IFileBrowserFactory],
  activate: (app: JupyterFrontEnd, deployments: IDeployments, factory: IFileBrowserFactory | null) => {
    if (!factory) return;
    const { trans } = deployments;
    const chosen = (): Contents.IModel | null => {
      const items = [...(factory.tracker.currentWidget?.selectedItems() ?? [])];
      return items.length === 1 ? items[0]! : null;
    };
    const folders = new ModelFolders(app.serviceManager.contents);
    factory.tracker.forEach((browser) => folders.watch(browser));
    factory.tracker.widgetAdded.connect((_, browser) => folders.watch(browser));
    const root = PageConfig.getOption(ROOT);

    app.commands.addCommand(CommandIds.registerFile, {
      label: trans.__('Register as model…'),
      icon: modelIcon.bindprops({ stylesheet: 'menuItem' }),
      isVisible: () => {
        const item = chosen();
        return item !== null && diskPath(root, item.path) !== null && (item.type === 'directory' ? folders.isModel(item) : isModelFile(item.name));
      },
      execute: () => {
        const path = modelPath(chosen()?.path ?? '');
        const disk = diskPath(root, path);
        if (!disk) return null;
        const given = { model_path: disk, name: modelName(path) };
        return deployments.openForm({ form: 'register', workspace: deployments.workspaceOf(path), given });
      },
    });
    app.commands.addCommand(CommandIds.deployFile, {
      label: trans.__('Deploy as entry script…'),
      icon: deployIcon.bindprops({ stylesheet: 'menuItem' }),
      isVisible: () => {
        const item = chosen();
        return item !== null && item.type !== 'directory' && isScript(item.name) && diskPath(root, item.path) !== null;
      },
      execute: () => {
        const { path } = chosen() ?? { path: '' };
        const disk = diskPath(root, path);
        return disk ? deployments.openForm({ form: 'deploy', workspace: deployments.workspaceOf(path), given: { entry_script: disk } }) : null;
      },
    });
  },
};

/** Which folders are models. A menu must know it at once, so a folder is read when the mouse or the keyboard is on it. */
class ModelFolders {
  readonly #contents: Contents.IManager;
  readonly #known = new Map<string, boolean>();

  constructor(contents: Contents.IManager) {
    this.#contents = contents;
  }

  isModel({ path, last_modified }: Contents.IModel): boolean {
    return this.#known.get(`${path} ${last_modified}`) ?? false;
  }

  watch(browser: FileBrowser): void {
    let timer = 0;
    const soon = (find: () => Iterable<Contents.IModel | undefined>) => {
      clearTimeout(timer);
      timer = window.setTimeout(() => {
        if (browser.isDisposed) return;
        for (const item of find()) if (item?.type === 'directory') void this.#read(item);
      }, HOVER_MS);
    };
    browser.node.addEventListener('pointerover', (event) => soon(() => [browser.modelForClick(event)]));
    browser.node.addEventListener('keyup', () => soon(() => browser.selectedItems()));
  }

  async #read(item: Contents.IModel): Promise<void> {
    const key = `${item.path} ${item.last_modified}`;
    if (this.#known.has(key)) return;
    try {
      const { content } = await this.#contents.get(item.path, { content: true });
      this.#known.set(key, isModelFolder((content as Contents.IModel[]).map(({ name }) => name)));
    } catch {
      this.#known.set(key, false);
    }
  }
}
