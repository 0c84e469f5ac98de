/** What a row shows: icon, name, and at its end the state, in whose place its actions stand. */
import type { ComponentChildren } from 'preact';
import type { ModelVersion, ServiceState } from '../../protocol';
import { ago, exact, size } from '../format';
import { icon } from '../icons';
import { Mid } from '../parts';
import { translated } from '../translation';
import { SERVICE_LOOKS } from '../words';
import { type Acting, copy } from './actions';
import type { Activity } from './activity';
import { SideIcon, targetIcon } from './icons';
import type { GroupRow, ModelRow, Row, ServiceRow, VersionRow } from './rows';
import type { Words } from './words';

interface Drawn<R extends Row> { row: R; acting: Acting; activity: Activity | undefined; onMenu: (at: { x: number; y: number }) => void; now: Date }

export function GroupNode({ row }: { row: GroupRow }) {
  return (
    <>
      {icon('chevron')}
      {row.kind === 'state' ? <StateIcon state={row.of as ServiceState} /> : <SideIcon name={row.kind === 'workspace' ? 'folder' : targetIcon(row.of)} />}
      <span class="mld-Cut" title={row.workspace.folder && row.kind === 'workspace' ? row.workspace.folder : row.label}>{row.label}</span>{' '}
      <span class="mld-Node-end">{row.kind === 'workspace' && row.workspace.failure ? <span class="mld-State" data-state="degraded">{icon('warning')}</span> : null}{row.count}</span>
    </>
  );
}

function StateIcon({ state }: { state: ServiceState }) {
  const look = SERVICE_LOOKS[state];
  return <span class="mld-State" data-state={look.state}>{icon(look.icon)}</span>;
}

export function ServiceNode({ row, acting, activity, onMenu }: Drawn<ServiceRow>) {
  const { service } = row;
  const { port, words, lost } = acting;
  const look = lost ? SERVICE_LOOKS.unknown : SERVICE_LOOKS[service.state];
  const spins = activity?.busy || (!lost && service.state === 'deploying');
  return (
    <>
      <span class="mld-State" data-state={activity?.busy ? 'running' : look.state}>{icon(activity?.busy ? 'busy' : look.icon, { spin: spins })}</span>
      <Mid text={service.service} tail={tailOf(service.service)} />{' '}
      <End activity={activity} title={service.since && exact(service.since)} word={<>{serviceWord(row, words, lost)}{service.note && !lost ? <span class="mld-Node-note" data-short={/^\d/.test(service.note) || undefined}> {translated(service.note)}</span> : null}</>}>
        {port.openPanel && service.state !== 'deleted' ? <RowButton label={words.openPanel} act={() => port.openPanel?.({ service: service.service, workspace: service.workspace })}><SideIcon name="open" /></RowButton> : null}
        {service.scoringUri ? <RowButton label={words.copyUri} act={() => void copy(row.key, acting, async () => service.scoringUri)}>{icon('copy')}</RowButton> : null}
        {acting.actionsOf(row).length ? <MoreButton words={words} onMenu={onMenu} /> : null}
      </End>
    </>
  );
}

export function ModelNode({ row, acting, activity, onMenu }: Drawn<ModelRow>) {
  const { model } = row;
  return (
    <>
      {icon('chevron')}
      <SideIcon name="model" />
      <Mid text={model.model} tail={tailOf(model.model)} />{' '}
      <End activity={activity} word={acting.words.versions(model.versions.length)}><InsertButton row={row} acting={acting} onMenu={onMenu} /></End>
    </>
  );
}

export function VersionNode({ row, acting, activity, onMenu, now }: Drawn<VersionRow>) {
  const { version } = row;
  const { words } = acting;
  return (
    <>
      {icon('chevron')}
      <span>{version.version}</span>{' '}
      <span class="mld-Muted mld-Cut" title={version.created && exact(version.created)}>{versionWord(version, words, now)}</span>{' '}
      <End activity={activity} word={version.bytes === null ? '' : size(version.bytes)}><InsertButton row={row} acting={acting} onMenu={onMenu} /></End>
    </>
  );
}

function InsertButton({ row, acting, onMenu }: { row: ModelRow | VersionRow; acting: Acting; onMenu: Drawn<Row>['onMenu'] }) {
  const action = acting.actionsOf(row).find(one => one.id === 'insert');
  return (
    <>
      {action ? <RowButton label={action.label} act={action.act}>{icon('insert')}</RowButton> : null}
      <MoreButton words={acting.words} onMenu={onMenu} />
    </>
  );
}

/** The state's word; the actions take its place while the pointer or the focus is on the row, and an order's word both. */
function End({ word, activity, title, children }: { word: ComponentChildren; activity: Activity | undefined; title?: string; children: ComponentChildren }) {
  if (activity?.word) return <span class="mld-Node-end mld-mod-activity">{activity.word}</span>;
  return (
    <>
      <span class="mld-Node-end" title={title || undefined}>{word}</span>
      <span class="mld-Node-actions">{children}</span>
    </>
  );
}

/** Reached by the pointer only: the row's menu has the same for the keyboard. */
function RowButton({ label, act, children }: { label: string; act: (event: MouseEvent) => void; children: ComponentChildren }) {
  return (
    <button
      type="button"
      class="mld-IconBtn"
      tabIndex={-1}
      aria-label={label}
      title={label}
      onClick={event => {
        event.stopPropagation(); // the row itself was not chosen
        act(event);
      }}
    >
      {children}
    </button>
  );
}

function MoreButton({ words, onMenu }: { words: Words; onMenu: Drawn<Row>['onMenu'] }) {
  return (
    <RowButton
      label={words.more}
      act={event => {
        const box = (event.currentTarget as Element).getBoundingClientRect();
        onMenu({ x: box.left, y: box.bottom });
      }}
    >
      {icon('more')}
    </RowButton>
  );
}

export function serviceWord({ service }: ServiceRow, words: Words, lost: boolean): string {
  return (lost ? words.past : words.states)[service.state];
}

function versionWord({ usedBy, created }: ModelVersion, words: Words, now: Date): string {
  return usedBy.length ? words.inServices(usedBy.length) : ago(created, now);
}

/** How many of a name's last characters are kept: short names are rarely cut. */
const tailOf = (name: string) => (name.length < 6 ? 0 : name.length < 14 ? 3 : 7);

/** The row in one sentence, which has what is seen in the same order. */
export function describeRow(row: Row, words: Words, lost: boolean, activity: Activity | undefined, now: Date): string {
  if (activity?.word) return [row.kind === 'version' ? `${row.version.id}, ${versionWord(row.version, words, now)}` : row.label, activity.word].join(', ');
  if (row.kind === 'service') {
    const { note, revision } = row.service;
    const word = serviceWord(row, words, lost) + (note && !lost ? ` ${translated(note)}` : '');
    return [row.label, word, revision ? words.revision(revision) : ''].filter(Boolean).join(', ');
  }
  if (row.kind === 'model') return `${row.label}, ${words.versions(row.model.versions.length)}`;
  if (row.kind !== 'version') return `${row.label}, ${row.count}`;
  const { id, bytes } = row.version;
  return [id, versionWord(row.version, words, now), bytes === null ? '' : size(bytes)].filter(Boolean).join(', ');
}

