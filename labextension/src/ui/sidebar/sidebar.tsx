import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ModelSummary, ServiceRef, ServiceSummary } from '../../protocol';
import { clock } from '../format';
import { icon } from '../icons';
import { Announcer, Button, FailureMessage } from '../parts';
import { useId } from '../port_context';
import { type Acting, modelActions, serviceActions, versionActions } from './actions';
import { useActivities } from './activity';
import { useDrag } from './drag';
import { SideIcon } from './icons';
import { type Action, ContextMenu, type OpenMenu } from './menu';
import { keyOf, type Overview, type ServiceChange } from './overview';
import { drawBelow } from './row_below';
import { GroupNode, ModelNode, ServiceNode, VersionNode, describeRow } from './row_parts';
import { type Grouping, type Row, type ServiceRow, type VersionRow, hasGroups, listModels, listServices, prepareFilter, sortModels, sortServices } from './rows';
import type { Memory, Shell } from './shell';
import { Tree } from './tree';
import { useOverview } from './use_overview';
import { ENGLISH, type Translation } from '../translation';
import { type Words, makeWords } from './words';

const NAMED = 3; // changes that are announced by name; more are counted

export interface SidebarProps {
  overview: Overview;
  shell?: Shell;
  memory?: Memory;
  trans?: Translation;
  groups?: Grouping;
  /** The service whose panel is in view: its row is marked. */
  current?: ServiceRef;
  /** A text for the filter box. Another object sets it again. */
  show?: { filter: string };
}

/** Services and models of all known workspaces, whoever made them. */
export function Sidebar({ overview, shell = {}, memory, trans = ENGLISH, groups, current, show }: SidebarProps) {
  const words = useMemo(() => makeWords(trans), [trans]);
  const { port } = overview;
  const activities = useActivities();
  const [told, setTold] = useState('');
  const [filter, setFilter] = useState('');
  const [menu, setMenu] = useState<OpenMenu | null>(null);
  const [opened, setOpened] = useState('');
  const [kept, setKept] = useState<Record<string, ServiceRow | VersionRow>>({}); // rows of what was deleted, until that was read
  const folds = useFolds(memory, filter);
  const focusService = useRef<((key: string) => void) | null>(null);
  const focusModel = useRef<((key: string) => void) | null>(null);
  const wasLost = useRef(false);
  const now = useMinute();

  useOverview(overview, changes => {
    for (const { before, now: service } of changes) {
      const key = `s ${keyOf((service ?? before)!.workspace, (service ?? before)!.service)}`;
      if (service || activities.of(key)?.busy || kept[key]) activities.settle(key);
      else activities.put(key, null);
    }
    const said = announce(changes, words);
    if (!!overview.lostSince !== wasLost.current) setTold(overview.lostSince ? words.lost : words.connected);
    else if (said) setTold(said);
    wasLost.current = !!overview.lostSince;
  });
  const lost = !!overview.lostSince;
  useEffect(() => {
    if (show) setFilter(show.filter);
  }, [show]);

  const allServices = useMemo(() => sortServices(withKept(overview.services, kept)), [overview.services, kept]);
  const allModels = useMemo(() => sortModels(withKeptVersions(overview.models, kept)), [overview.models, kept]);
  const services = useMemo(
    () => listServices(allServices, overview.workspaces, filter, folds.isOpen, words, groups),
    [allServices, overview.workspaces, filter, folds.version, words, groups],
  );
  const models = useMemo(
    () => listModels(allModels, overview.workspaces, filter, folds.isOpen, words),
    [allModels, overview.workspaces, filter, folds.version, words],
  );
  const found = filter.trim() ? words.found(services.shown, models.shown) : '';

  const acting: Acting = {
    port, shell, words, activities, lost,
    actionsOf: row => actionsOf(row, acting),
    toggleDetails: key => folds.set(key, !folds.isOpen(key, false), false),
    areDetailsOpen: key => folds.isOpen(key, false),
  };
  const openMenu = (row: Row, at: { x: number; y: number }) => {
    const items = actionsOf(row, acting);
    if (items.length) setMenu({ key: row.key, label: words.actionsOf(row.label), items, ...at });
  };
  const focusOf = (key: string) => (key.startsWith('s ') ? focusService : focusModel).current?.(key);
  const choose = (row: Row) => {
    if (row.open !== null) return folds.set(row.key, !row.open, standardOf(row));
    if (row.kind !== 'service' || row.service.state === 'deleted') return;
    setOpened(row.key);
    port.openPanel?.({ service: row.service.service, workspace: row.service.workspace });
  };
  const drag = useDrag(port, shell, lost);
  const draw = (row: Row) => {
    const parts = { acting, activity: activities.of(row.key), now, onMenu: (at: { x: number; y: number }) => openMenu(row, at) };
    if (row.kind === 'service') return <ServiceNode row={row} {...parts} />;
    if (row.kind === 'model') return <ModelNode row={row} {...parts} />;
    return row.kind === 'version' ? <VersionNode row={row} {...parts} /> : <GroupNode row={row} />;
  };
  const tree = {
    stale: lost,
    chosen: current ? keyOfCurrent(current, overview) : opened,
    describe: (row: Row) => describeRow(row, words, lost, activities.of(row.key), now),
    draw,
    below: (row: Row) =>
      drawBelow({
        row, words, activities, port, now, activity: activities.of(row.key), focus: focusOf,
        keep: one => setKept(before => ({ ...before, [one.key]: one })),
        forget: key => setKept(({ [key]: _, ...rest }) => rest),
      }),
    onOpen: (row: Row, open: boolean) => folds.set(row.key, open, standardOf(row)),
    onChoose: choose,
    onMenu: openMenu,
    attributes: drag,
  };
  const form = (kind: 'deploy' | 'register') => {
    const here = overview.workspaces.find(one => one.current) ?? overview.workspaces[0];
    shell.openForm?.(kind, here ? { workspace: here.workspace } : {});
  };
  const formButton = (kind: 'deploy' | 'register', label: string) =>
    shell.openForm ? <TitleButton label={label} title={lost ? words.notConnected : label} off={lost} act={() => form(kind)}>{icon('plus')}</TitleButton> : null;
  // A workspace without a row of its own says above the list why it cannot be read.
  const unreadable = hasGroups(overview.workspaces) ? [] : overview.workspaces.filter(one => one.failure);

  const reading = overview.workspaces.some(one => one.reading);

  return (
    <div class="mld mld-Side">
      <Announcer text={told} />
      <Filter words={words} text={filter} onText={setFilter} onEnter={() => prepareFilter(overview.services.values(), overview.models.values(), words)} onLeave={() => focusFirst(services.rows, focusService) || focusFirst(models.rows, focusModel)} />
      <Announcer text={found} />
      <Section
        title={words.services}
        open={folds.isOpen('services', true)}
        onOpen={open => folds.set('services', open, true)}
        buttons={<>{formButton('deploy', words.deployModel)}<TitleButton label={words.refresh} act={() => overview.refresh()}><SideIcon name="refresh" /></TitleButton></>}
      >
        {lost ? <Lost overview={overview} words={words} /> : null}
        {unreadable.map(one => <div class="mld-Side-failure" key={one.workspace}><FailureMessage failure={one.failure!} /></div>)}
        {services.rows.length ? (
          <Tree {...tree} label={lost ? words.lastKnown(words.services) : words.services} rows={services.rows} focusRef={focusService} />
        ) : filter.trim() && (services.all || models.all) ? (
          <p class="mld-Side-none">{models.shown ? words.noServiceFits : words.nothingFits(filter.trim())}</p>
        ) : !overview.known || reading ? (
          lost ? null : <p class="mld-Side-none">{words.loading}</p>
        ) : unreadable.length || lost ? null : (
          <div class="mld-Side-empty">
            <p>{words.noServices}</p>
            <p>{words.noServicesHint}</p>
            {shell.openForm ? <Button kind="primary" onClick={() => form('deploy')}>{words.deployModelAsk}</Button> : null}
          </div>
        )}
      </Section>
      <Section
        title={words.models}
        open={folds.isOpen('models', true)}
        onOpen={open => folds.set('models', open, true)}
        buttons={formButton('register', words.registerModel)}
      >
        {models.rows.length ? (
          <Tree {...tree} label={lost ? words.lastKnown(words.models) : words.models} rows={models.rows} focusRef={focusModel} />
        ) : filter.trim() && (services.all || models.all) ? (
          services.shown ? <p class="mld-Side-none">{words.noModelFits}</p> : null
        ) : !overview.known || reading || unreadable.length || lost ? null : (
          <div class="mld-Side-empty">
            <p>{words.noModels}</p>
            <p>{shell.openForm ? words.noModelsHint : words.noModelsHintOnly}</p>
            {shell.openForm ? <Button onClick={() => form('register')}>{words.registerModelAsk}</Button> : null}
          </div>
        )}
      </Section>
      {menu ? (
        <ContextMenu
          menu={menu}
          onClose={focus => {
            setMenu(null);
            if (focus) focusOf(menu.key);
          }}
        />
      ) : null}
    </div>
  );
}

function actionsOf(row: Row, acting: Acting): Action[] {
  if (row.kind === 'service') return serviceActions(row.key, row.service, acting);
  if (row.kind === 'model') return modelActions(row.key, row.model, acting);
  return row.kind === 'version' ? versionActions(row.key, row.model, row.version, acting) : [];
}

/** Without a workspace, the first service of that name. */
function keyOfCurrent({ service, workspace }: ServiceRef, overview: Overview): string {
  const found = workspace ?? [...overview.services.values()].find(one => one.service === service)?.workspace ?? '';
  return `s ${keyOf(found, service)}`;
}

const standardOf = (row: Row) => row.kind === 'workspace' || row.kind === 'target' || row.kind === 'state';

function focusFirst(rows: Row[], focus: { current: ((key: string) => void) | null }): boolean {
  const first = rows.find(row => row.kind === 'service' || row.kind === 'model') ?? rows[0];
  if (first) focus.current?.(first.key);
  return !!first;
}

/** `diabetes: Live`. A change of anything but the state is not announced. */
function announce(changes: ServiceChange[], words: Words): string {
  const stated = changes.filter(({ before, now }) => before?.state !== now?.state);
  if (stated.length > NAMED) return words.changed(stated.length);
  return stated.map(({ before, now }) => words.nowIs((now ?? before)!.service, words.states[now?.state ?? 'deleted'])).join('. ');
}

function withKept(services: Map<string, ServiceSummary>, kept: Record<string, ServiceRow | VersionRow>): Iterable<ServiceSummary> {
  const gone = Object.values(kept).flatMap(row => (row.kind === 'service' && !services.has(keyOf(row.service.workspace, row.service.service)) ? [row.service] : []));
  return [...services.values(), ...gone.map(service => ({ ...service, state: 'deleted' as const, note: '', deploying: false, scoringUri: '', can: [] }))];
}

function withKeptVersions(models: Map<string, ModelSummary>, kept: Record<string, ServiceRow | VersionRow>): Iterable<ModelSummary> {
  const all = new Map(models);
  for (const row of Object.values(kept)) {
    if (row.kind !== 'version') continue;
    const key = keyOf(row.model.workspace, row.model.model);
    const model = all.get(key) ?? { ...row.model, versions: [] };
    if (model.versions.some(version => version.id === row.version.id)) continue;
    all.set(key, { ...model, versions: [...model.versions, row.version].sort((one, other) => other.version - one.version) });
  }
  return all.values();
}

interface Folds { version: number; isOpen: (key: string, standard: boolean) => boolean; set: (key: string, open: boolean, standard: boolean) => void }

/** What was opened or closed by hand. While a filter is set this is apart, and not remembered: it opens what fits. */
function useFolds(memory: Memory | undefined, filter: string): Folds {
  const [open, setOpen] = useState<Record<string, boolean>>(memory?.open ?? {});
  const [filtered, setFiltered] = useState<{ filter: string; open: Record<string, boolean> }>({ filter: '', open: {} });
  const version = useRef(0);
  const filters = filter.trim() !== '';
  const apart = filtered.filter === filter ? filtered.open : {};
  const isSection = (key: string) => key === 'services' || key === 'models';
  const latest = useRef('');
  const state = JSON.stringify([filters, apart, open]);
  if (latest.current !== state) {
    latest.current = state;
    version.current += 1;
  }
  return {
    version: version.current,
    isOpen: (key, standard) => {
      if (!filters || isSection(key)) return open[key] ?? standard;
      return apart[key] ?? standard;
    },
    set: (key, to, standard) => {
      if (filters && !isSection(key)) return setFiltered({ filter, open: { ...apart, [key]: to } });
      const { [key]: _, ...rest } = open;
      const next = to === standard ? rest : { ...rest, [key]: to };
      setOpen(next);
      // Details of versions are read once: they are not worth remembering.
      if (!key.startsWith('v ')) memory?.save(Object.fromEntries(Object.entries(next).filter(([one]) => !one.startsWith('v '))));
    },
  };
}

/** The time, to the minute: "3 min ago" is drawn anew. */
function useMinute(): Date {
  const [now, setNow] = useState(() => new Date());
  useEffect(() => {
    const timer = setInterval(() => setNow(new Date()), 60_000);
    return () => clearInterval(timer);
  }, []);
  return now;
}

function Section({ title, open, onOpen, buttons, children }: { title: string; open: boolean; onOpen: (open: boolean) => void; buttons: ComponentChildren; children: ComponentChildren }) {
  const id = useId();
  return (
    <section class="mld-Side-section" data-open={open} aria-labelledby={id}>
      <div class="mld-Side-title">
        <h3><button type="button" class="mld-Side-toggle" id={id} aria-expanded={open} onClick={() => onOpen(!open)}>{icon('chevron')}{title}</button></h3>
        {buttons}
      </div>
      {open ? children : null}
    </section>
  );
}

function TitleButton({ label, title = label, off, act, children }: { label: string; title?: string; off?: boolean; act: () => void; children: ComponentChildren }) {
  return <button type="button" class="mld-IconBtn" aria-label={label} title={title} disabled={off} onClick={act}>{children}</button>;
}

/** Escape empties it, the down arrow leads into the list. */
function Filter({ words, text, onText, onEnter, onLeave }: { words: Words; text: string; onText: (text: string) => void; onEnter: () => void; onLeave: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const clear = () => {
    onText('');
    input.current?.focus();
  };
  return (
    <div class="mld-Side-filter" role="search">
      {icon('search')}
      <input
        class="mld-Input mld-mod-compact"
        ref={input}
        aria-label={words.filter}
        placeholder={words.filterShort}
        title={words.filter}
        autocomplete="off"
        spellcheck={false}
        value={text}
        onFocus={onEnter}
        onInput={event => onText(event.currentTarget.value)}
        onKeyDown={event => {
          if (event.key === 'Escape' && text) clear();
          else if (event.key === 'ArrowDown') onLeave();
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      />
      {text ? <button type="button" class="mld-IconBtn" aria-label={words.clearFilter} title={words.clearFilter} onClick={clear}>{icon('close')}</button> : null}
    </div>
  );
}

/** Since when nothing has been heard, and what that means for what is shown; or why it is refused. */
function Lost({ overview, words }: { overview: Overview; words: Words }) {
  const seconds = useSecondsUntil(overview.nextTry);
  const since = clock(overview.lostSince);
  return (
    <div class="mld-Side-note" role="status">
      {overview.refusal ? (
        <FailureMessage failure={overview.refusal} />
      ) : (
        <p class="mld-Message" data-level="warning"><SideIcon name="unplugged" /><span>{overview.known ? words.noAnswer(since) : words.noAnswerYet(since)}</span></p>
      )}
      <div class="mld-Actions">
        <Button onClick={() => overview.refresh()}>{words.tryNow}</Button>
        {seconds > 0 ? <span class="mld-Muted" role="timer" aria-live="off">{words.nextTry(seconds)}</span> : null}
      </div>
    </div>
  );
}

function useSecondsUntil(time: string): number {
  const left = () => (time ? Math.ceil((Date.parse(time) - Date.now()) / 1000) : 0);
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    setSeconds(left());
    if (!time) return undefined;
    const timer = setInterval(() => setSeconds(left()), 1000);
    return () => clearInterval(timer);
  }, [time]);
  return seconds;
}
