/** What the plugins of this extension have in common. */
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Form, Port, Service, ServiceRef } from '../../protocol';
import type { Grouping, Overview } from '../../ui/sidebar';

export const NAMESPACE = 'mldeploy-jupyter'; // of plugins and settings

/** The page's option with the folder of the file browser on the disk; the server extension sets it. */
export const ROOT = 'mldeployRoot';

/** The page's option that is there while the server extension is loaded and switched off. */
export const OFF = 'mldeployOff';

export namespace CommandIds {
  export const showSidebar = 'mldeploy:show-sidebar';
  export const openService = 'mldeploy:open-service';
  export const openForm = 'mldeploy:open-form';
  export const deploy = 'mldeploy:deploy';
  export const register = 'mldeploy:register';
  export const registerFile = 'mldeploy:register-file';
  export const deployFile = 'mldeploy:deploy-file';
}

export type PanelTab = Service['tabs'][number];

/** What a form in the main area is opened with: JSON, since the layout keeps it over a reload. */
export interface FormArgs {
  form: Form['form'];
  service?: string;
  workspace?: string;
  given?: Record<string, unknown>;
}

/** The values of `schema/plugin.json`. */
export interface Settings {
  notifications: 'all' | 'failures' | 'none';
  statusBar: boolean;
  poll: number; // seconds between two looks; 0 for as often as the server looks
  groups: Grouping;
}

export const DEFAULTS: Settings = { notifications: 'all', statusBar: true, poll: 0, groups: 'target' };

/** What each part of the extension gets from its first plugin. */
export interface IDeployments {
  readonly port: Port;
  readonly overview: Overview;
  readonly trans: TranslationBundle;
  readonly settings: Settings;
  readonly settingsChanged: ISignal<IDeployments, Settings>;
  /** The service whose panel is the current tab of the main area. */
  readonly current: ServiceRef | null;
  readonly currentChanged: ISignal<IDeployments, void>;
  /** Opens the panel of a service in the main area, or shows the one that is open. */
  openService(service: ServiceRef, tab?: PanelTab): Promise<Widget>;
  openForm(args: FormArgs): Promise<Widget>;
  isInSight(service: Required<ServiceRef>): boolean; // whether a panel of it can be seen now
  /** The workspace that a file of the file browser belongs to; '' when none is known. */
  workspaceOf(path?: string): string;
}

export const IDeployments = new Token<IDeployments>('mldeploy-jupyter:IDeployments', 'Services and models, and the forms to deploy and register them.');
