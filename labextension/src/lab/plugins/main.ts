/** The first plugin: the port, what is known, the commands, and the tabs that the others open. */
import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import type { Port, ServiceRef } from '../../protocol';
import { Overview } from '../../ui/sidebar';
import { setTranslation } from '../../ui/translation';
import { workspaceOf } from '../places';
import { connect } from './connect';
import { deployIcon, modelIcon } from './icons';
import { MainArea } from './main_area';
import { CommandIds, DEFAULTS, IDeployments, NAMESPACE, ROOT, type FormArgs, type PanelTab, type Settings } from './tokens';

class Deployments implements IDeployments {
  readonly overview: Overview;
  readonly settingsChanged: Signal<IDeployments, Settings> = new Signal<IDeployments, Settings>(this);
  readonly currentChanged: Signal<IDeployments, void> = new Signal<IDeployments, void>(this);
  readonly #area: MainArea;
  #settings = DEFAULTS;

  constructor(app: JupyterFrontEnd, readonly port: Port, readonly trans: TranslationBundle) {
    this.overview = new Overview(port);
    this.#area = new MainArea(app, port, this.overview, trans);
    app.shell.currentChanged?.connect(() => this.currentChanged.emit());
  }

  get settings(): Settings {
    return this.#settings;
  }

  set settings(settings: Settings) {
    this.#settings = settings;
    this.overview.poll(settings.poll);
    this.settingsChanged.emit(settings);
  }

  get current(): ServiceRef | null {
    return this.#area.current;
  }

  openService(service: ServiceRef, tab?: PanelTab): Promise<Widget> {
    return this.#area.openService(service, tab);
  }

  openForm(args: FormArgs): Promise<Widget> {
    return this.#area.openForm(args);
  }

  isInSight(service: Required<ServiceRef>): boolean {
    return this.#area.isInSight(service);
  }

  workspaceOf(path?: string): string {
    return workspaceOf(this.overview.workspaces, PageConfig.getOption(ROOT), path);
  }

  restore(restorer: ILayoutRestorer): void {
    this.#area.restore(restorer);
  }
}

export const main: JupyterFrontEndPlugin<IDeployments> = {
  id: `${NAMESPACE}:plugin`,
  description: 'Panels of services, forms to deploy and register, and their commands.',
  autoStart: true,
  provides: IDeployments,
  optional: [ITranslator, ISettingRegistry, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    registry: ISettingRegistry | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
  ): IDeployments => {
    const trans = (translator ?? nullTranslator).load(NAMESPACE);
    setTranslation(trans, languageTag(translator));
    const port = connect(app.serviceManager.serverSettings);
    const deployments = new Deployments(app, port, trans);
    port.openPanel = (service, tab) => void deployments.openService(service, tab);
    addCommands(app, deployments);
    if (palette) {
      for (const command of [CommandIds.showSidebar, CommandIds.deploy, CommandIds.register]) {
        palette.addItem({ command, category: trans.__('Deploy') });
      }
    }
    if (restorer) deployments.restore(restorer);
    if (registry) void followSettings(registry, deployments);
    return deployments;
  },
};

/** The language of the page as a tag, such as `de-DE`; English as the rest of it writes days. */
function languageTag(translator: ITranslator | null): string {
  const code = translator?.languageCode ?? 'en';
  return /^(en|default)$/.test(code) ? 'en-GB' : code.replaceAll('_', '-');
}

function addCommands(app: JupyterFrontEnd, deployments: Deployments): void {
  const { trans } = deployments;
  app.commands.addCommand(CommandIds.openService, {
    label: trans.__('Open the panel of a service'),
    icon: deployIcon,
    isVisible: (args) => Boolean(args['service']),
    execute: (args) => {
      const { service, workspace, tab } = args as unknown as ServiceRef & { tab?: PanelTab };
      return deployments.openService({ service, ...(workspace ? { workspace } : {}) }, tab);
    },
  });
  app.commands.addCommand(CommandIds.openForm, {
    label: trans.__('Open a form'),
    isVisible: (args) => Boolean(args['form']),
    execute: (args) => deployments.openForm(args as unknown as FormArgs),
  });
  const addForm = (command: string, form: 'deploy' | 'register', label: string, caption: string, icon: typeof deployIcon) =>
    app.commands.addCommand(command, {
      label: (args) => (args['toolbar'] ? trans.__('Deploy…') : label),
      caption,
      icon: (args) => (args['toolbar'] ? undefined : icon),
      execute: (args) => deployments.openForm({ form, workspace: deployments.workspaceOf(args['cwd'] as string | undefined) }),
    });
  addForm(CommandIds.deploy, 'deploy', trans.__('Deploy a model…'), trans.__('Make a live service of a model and an entry script'), deployIcon);
  addForm(CommandIds.register, 'register', trans.__('Register a model…'), trans.__('Keep a file or folder as the next version of a model'), modelIcon);
}

async function followSettings(registry: ISettingRegistry, deployments: Deployments): Promise<void> {
  try {
    const settings = await registry.load(main.id);
    const read = () => {
      deployments.settings = { ...DEFAULTS, ...(settings.composite as Partial<Settings>) };
    };
    settings.changed.connect(read);
    read();
  } catch (reason) {
    console.warn(`The settings of ${main.id} cannot be read; the defaults apply.`, reason);
  }
}
