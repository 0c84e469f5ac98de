import type { ModelSummary, ModelVersion, Order, Port, Requests, ServiceSummary } from '../../protocol';
import { writeClipboard } from '../parts';
import type { Activities } from './activity';
import type { Action } from './menu';
import type { Row } from './rows';
import type { Shell } from './shell';
import type { Words } from './words';

export interface Acting {
  port: Port;
  shell: Shell;
  words: Words;
  activities: Activities;
  lost: boolean; // nothing can be ordered
  actionsOf: (row: Row) => Action[];
  toggleDetails: (key: string) => void;
  areDetailsOpen: (key: string) => boolean;
}

/** What can be done with a service now. What its state, its target or the front end cannot do is absent. */
export function serviceActions(key: string, one: ServiceSummary, acting: Acting): Action[] {
  const { port, words, activities, lost } = acting;
  const ref = { service: one.service, workspace: one.workspace };
  const can = (order: Order) => !lost && one.can.includes(order);
  const actions: Action[] = [];
  const add = (id: string, label: string, act: () => void, more: Partial<Action> = {}) => actions.push({ id, label, act, ...more });
  const gone = one.state === 'deleted';
  const open = gone ? undefined : port.openPanel;
  if (open) {
    add('open', words.openPanel, () => open(ref));
    if (can('test') && one.scoringUri) add('test', words.test, () => open(ref, 'test'));
    add('logs', words.logs, () => open(ref, 'logs'));
  }
  if (one.scoringUri && !gone) {
    add('uri', words.copyUri, () => copy(key, acting, async () => one.scoringUri), { apart: true });
    if (!lost) add('curl', words.copyCurl, () => copy(key, acting, async () => curlOf(await port.request('service.code', ref))));
  }
  if (port.insertCell && !lost && !gone) add('insert', words.insertCell, () => insert(key, acting, () => port.request('service.cell', ref)));
  const orders: Action[] = [];
  const order = (name: 'start' | 'restart' | 'stop', label: string, word: string) => {
    if (can(name)) orders.push({ id: name, label, act: () => activities.run(key, word, () => port.request(`service.${name}`, ref)) });
  };
  if (one.deploying && can('cancel') && one.deployment) {
    orders.push({ id: 'cancel', label: words.cancel, act: () => activities.run(key, words.cancelling, () => port.request('deployment.cancel', { deployment: one.deployment, workspace: one.workspace })) });
  }
  order('start', words.start, words.starting);
  order('restart', words.restart, words.restarting);
  order('stop', words.stop, words.stopping);
  if (can('delete')) orders.push({ id: 'delete', label: words.deleteAsk, danger: true, act: () => activities.put(key, { question: true }) });
  return joined(actions, orders);
}

/** What can be done with a model: with its newest version, where a version is needed. */
export function modelActions(key: string, model: ModelSummary, acting: Acting): Action[] {
  const newest = model.versions[0];
  const { shell, words, lost } = acting;
  const actions = newest ? deployActions(key, newest.id, model.workspace, acting) : [];
  if (!shell.openForm || lost) return actions;
  const given = { name: model.model };
  const register = { id: 'register', label: words.registerVersionAsk, act: () => shell.openForm?.('register', { workspace: model.workspace, given }) };
  return [...actions.slice(0, 1), register, ...actions.slice(1)]; // after "Deploy…"
}

export function versionActions(key: string, model: ModelSummary, version: ModelVersion, acting: Acting): Action[] {
  const { words, activities, lost } = acting;
  const actions = deployActions(key, version.id, model.workspace, acting);
  const open = acting.areDetailsOpen(key);
  const rest: Action[] = [{ id: 'details', label: open ? words.hideDetails : words.showDetails, act: () => acting.toggleDetails(key) }];
  if (!lost) {
    rest.push({
      id: 'delete', label: words.deleteVersionAsk, danger: true,
      act: () => {
        const by = version.usedBy;
        // The server refuses it, too; nobody types an id to learn that.
        if (by.length) activities.put(key, { failure: { code: 'in-use', error: words.inUse(version.id, by.length), cause: words.usedBy(by.join(', ')), hint: words.inUseHint } });
        else activities.put(key, { question: true });
      },
    });
  }
  return joined(actions, rest);
}

function deployActions(key: string, id: string, workspace: string, acting: Acting): Action[] {
  const { port, shell, words, lost } = acting;
  const actions: Action[] = [];
  if (shell.openForm && !lost) actions.push({ id: 'deploy', label: words.deployAsk, act: () => shell.openForm?.('deploy', { workspace, given: { models: [id] } }) });
  actions.push({ id: 'id', label: words.copyId, apart: actions.length > 0, act: () => copy(key, acting, async () => id) });
  if (port.insertCell && !lost) actions.push({ id: 'insert', label: words.insertCell, act: () => insert(key, acting, () => port.request('model.cell', { model: id, workspace })) });
  return actions;
}

/** The second group stands below a line. */
function joined(first: Action[], second: Action[]): Action[] {
  return [...first, ...second.map((action, at) => (at === 0 && first.length ? { ...action, apart: true } : action))];
}

export async function copy(key: string, { activities, words }: Acting, text: () => Promise<string>): Promise<void> {
  let found: string;
  try {
    found = await text();
  } catch (reason) {
    return activities.run(key, '', () => Promise.reject(reason));
  }
  await writeClipboard(found).then(
    () => activities.flash(key, words.copied),
    () => activities.flash(key, words.couldNotCopy),
  );
}

function insert(key: string, { activities, words, port }: Acting, ask: () => Promise<{ text: string }>): void {
  ask().then(
    ({ text }) => {
      port.insertCell?.(text);
      activities.flash(key, words.inserted);
    },
    reason => activities.run(key, '', () => Promise.reject(reason)),
  );
}

function curlOf(samples: Requests['service.code'][1]): string {
  return samples.find(sample => sample.language === 'curl')?.text ?? '';
}
