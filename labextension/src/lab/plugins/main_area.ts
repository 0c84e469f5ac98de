/** Panels and forms in the main area: tabs that are there again after a reload. */
import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { SplitPanel, Widget } from '@lumino/widgets';
import { h } from 'preact';
import type { Port, ServiceRef } from '../../protocol';
import { FormPlace } from '../../ui/forms/form_place';
import { Panel } from '../../ui/panel';
import type { Overview } from '../../ui/sidebar';
import { translated } from '../../ui/translation';
import { SERVICE_LOOKS } from '../../ui/words';
import { stateIcon } from './state_icons';
import { deployIcon, modelIcon } from './icons';
import { PreactWidget } from './preact_widget';
import { CommandIds, type FormArgs, type PanelTab } from './tokens';

type Trans = { __(text: string, ...values: string[]): string };

/** The port of what is in the main area already: it offers everything but to open a panel there. */
function inMainArea(port: Port): Port {
  return {
    request: (name, params) => port.request(name, params),
    subscribe: (topic, params, onEvent, onLost) => port.subscribe(topic, params, onEvent, onLost),
    reconnect: () => port.reconnect?.(),
    loadPart: (part) => port.loadPart!(part),
    get insertCell() {
      return port.insertCell;
    },
    get focusCell() {
      return port.focusCell;
    },
  };
}

/** A tab about one service. */
class ServiceTab extends PreactWidget {
  readonly service: ServiceRef;
  readonly #shown: { show?: { tab: PanelTab } };

  constructor(port: Port, service: ServiceRef, tab?: PanelTab) {
    const shown: { show?: { tab: PanelTab } } = tab ? { show: { tab } } : {};
    super(() => h(Panel, { port, ...service, ...shown }));
    this.service = service;
    this.#shown = shown;
    this.id = `mldeploy-service-${service.workspace ?? ''}-${service.service}`;
    this.addClass('mld-Widget');
    this.title.closable = true;
    this.title.label = service.service;
    this.title.icon = deployIcon;
  }

  showTab(tab: PanelTab): void {
    this.#shown.show = { tab };
    this.redraw();
  }

  /** Says in the tab how the service is. */
  follow(overview: Overview): void {
    const { service, workspace } = this.service;
    const found = [...overview.services.values()].find((one) => one.service === service && (!workspace || one.workspace === workspace));
    if (!found && !overview.known) return;
    const state = overview.lostSince ? 'unknown' : found?.state ?? 'deleted';
    const word = translated(SERVICE_LOOKS[state].word);
    this.title.icon = stateIcon(state);
    this.title.caption = [service, word, translated(found?.note ?? ''), translated(found?.targetTitle ?? '')].filter(Boolean).join(' · ');
  }
}

/** A tab with a form; once it was sent, the panel of what it deployed stands there. */
class FormTab extends PreactWidget {
  readonly args: FormArgs;

  constructor(port: Port, args: FormArgs, trans: Trans, begun: (service: ServiceRef) => void) {
    const { form, service = '', workspace = '', given } = args;
    super(() =>
      h(FormPlace, {
        port, form, service, workspace, given,
        onBegun: (made) => {
          if (made.deployment) begun({ service: made.service, workspace: made.workspace });
        },
      }),
    );
    this.args = args;
    this.id = `mldeploy-form-${form}-${service}-${Date.now()}`;
    this.addClass('mld-Widget');
    this.title.closable = true;
    this.title.label = form === 'register' ? trans.__('Register a model') : trans.__('Deploy a model');
    this.title.icon = form === 'register' ? modelIcon : deployIcon;
  }
}

/** Opens tabs, finds those that are open, and has them restored. */
export class MainArea {
  readonly #app: JupyterFrontEnd;
  readonly #port: Port;
  readonly #overview: Overview;
  readonly #trans: Trans;
  readonly #services = new WidgetTracker<ServiceTab>({ namespace: 'mldeploy-services' });
  readonly #forms = new WidgetTracker<FormTab>({ namespace: 'mldeploy-forms' });

  constructor(app: JupyterFrontEnd, port: Port, overview: Overview, trans: Trans) {
    this.#app = app;
    this.#port = inMainArea(port);
    this.#overview = overview;
    this.#trans = trans;
  }

  /** Opens again what was open before a reload. The commands must be there. */
  restore(restorer: ILayoutRestorer): void {
    void restorer.restore(this.#services, {
      command: CommandIds.openService,
      args: ({ service }) => ({ ...service }),
      name: ({ service }) => `${service.workspace ?? ''}/${service.service}`,
    });
    void restorer.restore(this.#forms, {
      command: CommandIds.openForm,
      args: ({ args }) => ({ ...args }) as never,
      name: ({ id }) => id,
    });
  }

  async openService(service: ServiceRef, tab?: PanelTab): Promise<Widget> {
    const { workspace } = service;
    const opened = this.#services.find(({ service: one }) => one.service === service.service && (!workspace || one.workspace === workspace));
    if (opened && tab) opened.showTab(tab);
    const widget = opened ?? this.#follow(new ServiceTab(this.#port, service, tab));
    return this.#show(widget, this.#services);
  }

  async openForm(args: FormArgs): Promise<Widget> {
    const form: FormTab = new FormTab(this.#port, args, this.#trans, (service) => {
      // The tab is the service's from now on: one of its own, that is found and restored.
      void this.openService(service).then(() => form.dispose());
    });
    return this.#show(form, this.#forms);
  }

  /** The service whose panel is the current tab. */
  get current(): ServiceRef | null {
    const { currentWidget } = this.#app.shell;
    return currentWidget instanceof ServiceTab ? currentWidget.service : null;
  }

  /** Whether the service has a panel that can be seen: one of these tabs, or one in a notebook. */
  isInSight({ service, workspace }: Required<ServiceRef>): boolean {
    if (document.visibilityState !== 'visible') return false;
    return [...document.querySelectorAll<HTMLElement>('.mld-Panel')].some((panel) => {
      const { top, bottom, height } = panel.getBoundingClientRect();
      const inSight = height > 0 && bottom > 0 && top < innerHeight && panel.checkVisibility();
      const of = panel.dataset['workspace']; // "" while that is not known
      return inSight && panel.dataset['service'] === service && (!of || of === workspace);
    });
  }

  #follow(tab: ServiceTab): ServiceTab {
    const end = this.#overview.listen(() => tab.follow(this.#overview));
    tab.disposed.connect(end);
    tab.follow(this.#overview);
    return tab;
  }

  async #show<T extends PreactWidget>(widget: T, tracker: WidgetTracker<T>): Promise<Widget> {
    const { shell } = this.#app;
    // Its name must be known before it is added: a layout that is restored puts aside what it does not know.
    if (!tracker.has(widget)) await tracker.add(widget);
    // Notebook 7 has one document in its main area; what is beside it stands below.
    const isBelow = !hasTabs(this.#app);
    if (!widget.isAttached) shell.add(widget, isBelow ? 'down' : 'main');
    shell.activateById(widget.id);
    if (isBelow) requestAnimationFrame(() => unfold(widget)); // it has sizes once it is shown
    return widget;
  }
}

/** Gives the area below the document a height: Notebook 7 opens it with none. One that has a height keeps it. */
function unfold(widget: Widget): void {
  let split = widget.parent as SplitPanel | null;
  while (split && split.orientation !== 'vertical') split = split.parent as SplitPanel | null;
  const [above = 1, below = 0] = split?.relativeSizes() ?? [];
  if (below < (above + below) / 5) split?.setRelativeSizes([3, 2]);
}

/** Whether the main area takes more than the document of the page. */
export function hasTabs(app: JupyterFrontEnd): boolean {
  return app.name !== 'Jupyter Notebook';
}
