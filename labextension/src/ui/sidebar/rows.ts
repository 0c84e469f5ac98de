/** The rows of the two trees: plain data, made anew from the overview, the filter and what is open. */
import type { ModelSummary, ModelVersion, ServiceSummary, WorkspaceSummary } from '../../protocol';
import { translated } from '../translation';
import { keyOf } from './overview';
import type { Words } from './words';

interface Place {
  key: string; // unique in its tree
  label: string; // what type-ahead looks at
  depth: number; // 0 for the outermost
  parent: string; // its key, "" without one
  open: boolean | null; // null when there is nothing to open
  position: number; // among its siblings, from 1
  size: number; // how many siblings there are, itself included
}

/** How services are grouped within their workspace. */
export type Grouping = 'target' | 'state' | 'none';

/** `of` is what the services of a group have in common: their target or state. */
export type GroupRow = Place & { kind: 'workspace' | 'target' | 'state'; count: string; of: string; workspace: WorkspaceSummary };
export type ServiceRow = Place & { kind: 'service'; service: ServiceSummary };
export type ModelRow = Place & { kind: 'model'; model: ModelSummary };
export type VersionRow = Place & { kind: 'version'; model: ModelSummary; version: ModelVersion };
export type Row = GroupRow | ServiceRow | ModelRow | VersionRow;

export type IsOpen = (key: string, standard: boolean) => boolean;

const { compare } = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });

/** The words of a filter; all of them must be found. */
export const termsOf = (filter: string): string[] => filter.toLowerCase().split(/\s+/).filter(Boolean);

const fits = (terms: string[], text: string, title: string) => terms.every(term => text.includes(term) || title.includes(term));
const pairs = (tags: Record<string, string> | undefined) => Object.entries(tags ?? {}).map(([key, value]) => `${key}=${value}`);

// Summaries are replaced when they change, so what is searched is made once for each.
const texts = new WeakMap<object, string>();

function textOf(summary: object, make: () => (string | undefined)[]): string {
  let text = texts.get(summary);
  if (text === undefined) texts.set(summary, (text = make().filter(Boolean).join('\n').toLowerCase()));
  return text;
}

export function serviceText(service: ServiceSummary, words: Words): string {
  return textOf(service, () => [service.service, words.states[service.state], service.state, service.note, service.target, translated(service.targetTitle), ...service.models, ...pairs(service.tags)]);
}

/** One text for a model with all its versions: most models are passed over by it alone. */
function modelText(model: ModelSummary): string {
  return textOf(model, () => [model.model, ...model.versions.map(versionText)]);
}

function versionText(version: ModelVersion): string {
  return [version.id, version.framework, version.description, ...pairs(version.tags), ...version.usedBy].join('\n');
}

/** Makes ready what the filter searches, before the first key. */
export function prepareFilter(services: Iterable<ServiceSummary>, models: Iterable<ModelSummary>, words: Words): void {
  for (const service of services) serviceText(service, words);
  for (const model of models) modelText(model);
}

/** By name, `model-9` before `model-10`. Comparing takes a while, so it is done once for every change. */
export const sortServices = (services: Iterable<ServiceSummary>) => [...services].sort((one, other) => compare(one.service, other.service));
export const sortModels = (models: Iterable<ModelSummary>) => [...models].sort((one, other) => compare(one.model, other.model));

export interface Listed { rows: Row[]; shown: number; all: number }

/** Sorted services in groups, within workspaces when there are several. A workspace that cannot be read has a row, too. */
export function listServices(services: Iterable<ServiceSummary>, workspaces: WorkspaceSummary[], filter: string, isOpen: IsOpen, words: Words, grouping: Grouping = 'target'): Listed {
  const terms = termsOf(filter);
  const all = new Map<string, ServiceSummary[]>();
  for (const service of services) push(all, service.workspace, service);
  const grouped = hasGroups(workspaces);
  const rows: Row[] = [];
  let shown = 0;
  let total = 0;
  const outer: GroupRow[] = [];
  for (const workspace of placesOf(workspaces, all)) {
    const own = all.get(workspace.workspace) ?? [];
    const title = workspace.title.toLowerCase();
    const found = terms.length ? own.filter(service => fits(terms, serviceText(service, words), title)) : own;
    total += own.length;
    shown += found.length;
    if (!found.length && (terms.length || !(grouped && (workspace.failure || workspace.reading)))) continue;
    const depth = grouped ? 1 : 0;
    const key = `w ${workspace.workspace}`;
    const open = isOpen(key, true);
    if (grouped) {
      const count = workspace.failure ? words.unreadable : workspace.reading ? words.reading : words.countOf(found.length, own.length);
      const row: GroupRow = { kind: 'workspace', key, label: workspace.title, depth: 0, parent: '', open, position: 0, size: 0, count, of: '', workspace };
      outer.push(row);
      rows.push(row);
      if (!open) continue;
    }
    const add = (list: ServiceSummary[], level: number, parent: string) =>
      list.forEach((service, index) =>
        rows.push({ kind: 'service', key: `s ${keyOf(service.workspace, service.service)}`, label: service.service, depth: level, parent, open: null, position: index + 1, size: list.length, service }),
      );
    if (grouping === 'none') {
      add(found, depth, grouped ? key : '');
      continue;
    }
    const groups = new Map<string, ServiceSummary[]>();
    for (const service of found) push(groups, service[grouping], service);
    const sizes = new Map<string, number>();
    for (const service of own) sizes.set(service[grouping], (sizes.get(service[grouping]) ?? 0) + 1);
    const titled = [...groups].map(([of, list]) => ({ of, list, title: grouping === 'state' ? words.states[list[0]!.state] : translated(list[0]!.targetTitle) || of }));
    titled.sort((one, other) => rankOf(one.of) - rankOf(other.of) || compare(one.title, other.title));
    titled.forEach(({ of, list, title }, at) => {
      const groupKey = `${grouping[0]} ${workspace.workspace}\n${of}`;
      const groupOpen = isOpen(groupKey, true);
      const count = words.countOf(list.length, sizes.get(of) ?? 0);
      rows.push({ kind: grouping, key: groupKey, label: title, depth, parent: grouped ? key : '', open: groupOpen, position: at + 1, size: titled.length, count, of, workspace });
      if (groupOpen) add(list, depth + 1, groupKey);
    });
  }
  number(outer);
  return { rows, shown, all: total };
}

/** Sorted models with their versions, newest first. A model that fits by one version only shows that version. */
export function listModels(models: Iterable<ModelSummary>, workspaces: WorkspaceSummary[], filter: string, isOpen: IsOpen, words: Words): Listed {
  const terms = termsOf(filter);
  const all = new Map<string, ModelSummary[]>();
  for (const model of models) push(all, model.workspace, model);
  const grouped = hasGroups(workspaces);
  const rows: Row[] = [];
  const outer: GroupRow[] = [];
  let shown = 0;
  let total = 0;
  for (const workspace of placesOf(workspaces, all)) {
    const own = all.get(workspace.workspace) ?? [];
    const found: { model: ModelSummary; versions: ModelVersion[]; byName: boolean }[] = [];
    const title = workspace.title.toLowerCase();
    for (const model of own) {
      if (terms.length && !fits(terms, modelText(model), title)) continue;
      const byName = !terms.length || fits(terms, model.model.toLowerCase(), title);
      const versions = byName ? model.versions : model.versions.filter(version => fits(terms, versionText(version).toLowerCase(), title));
      if (byName || versions.length) found.push({ model, versions, byName });
    }
    total += own.length;
    shown += found.length;
    if (!found.length) continue;
    const key = `w ${workspace.workspace}`;
    const open = isOpen(key, true);
    if (grouped) {
      const row: GroupRow = { kind: 'workspace', key, label: workspace.title, depth: 0, parent: '', open, position: 0, size: 0, count: words.countOf(found.length, own.length), of: '', workspace };
      outer.push(row);
      rows.push(row);
      if (!open) continue;
    }
    const depth = grouped ? 1 : 0;
    found.forEach(({ model, versions, byName }, at) => {
      const modelKey = `m ${keyOf(model.workspace, model.model)}`;
      const modelOpen = isOpen(modelKey, !byName);
      rows.push({ kind: 'model', key: modelKey, label: model.model, depth, parent: grouped ? key : '', open: modelOpen, position: at + 1, size: found.length, model });
      if (!modelOpen) return;
      versions.forEach((version, index) => {
        const versionKey = `v ${keyOf(model.workspace, version.id)}`;
        rows.push({ kind: 'version', key: versionKey, label: String(version.version), depth: depth + 1, parent: modelKey, open: isOpen(versionKey, false), position: index + 1, size: versions.length, model, version });
      });
    });
  }
  number(outer);
  return { rows, shown, all: total };
}

/** What comes first among groups: this machine; and what is in progress or wrong before what is well. */
const FIRST = ['local', 'deploying', 'updating', 'failed', 'unhealthy', 'live'];
const rankOf = (of: string) => (FIRST.indexOf(of) + FIRST.length + 1) % (FIRST.length + 1);

/** Whether workspaces are rows: a single one needs no name. */
export const hasGroups = (workspaces: WorkspaceSummary[]) => workspaces.length > 1;

/** The workspaces in their order, and after them those that only rows name. */
function placesOf(workspaces: WorkspaceSummary[], rows: Map<string, unknown>): WorkspaceSummary[] {
  const known = new Set(workspaces.map(one => one.workspace));
  const ordered = [...workspaces].sort((one, other) => Number(other.current) - Number(one.current) || compare(one.title, other.title));
  return [...ordered, ...[...rows.keys()].filter(id => !known.has(id)).map(id => ({ workspace: id, title: id, folder: '', current: false, failure: null }))];
}

function number(rows: GroupRow[]): void {
  rows.forEach((row, at) => {
    row.position = at + 1;
    row.size = rows.length;
  });
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
