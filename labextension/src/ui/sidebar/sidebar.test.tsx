import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/preact';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Port, Topics } from '../../protocol';
import { type FakePort, fakePort } from '../../testing/fake_port';
import * as samples from '../../testing/samples';
import { Overview } from './overview';
import { CELLS, type Shell } from './shell';
import { Sidebar, type SidebarProps } from './sidebar';
import { ENGLISH } from '../translation';

afterEach(cleanup);

const names = () => screen.queryAllByRole('treeitem').map(one => one.getAttribute('aria-label'));
const item = (name: string) => screen.getAllByRole('treeitem').find(one => one.getAttribute('aria-label')!.startsWith(name))!;
const focused = () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent;
const key = (name: string, more = {}) => fireEvent.keyDown(document.activeElement!, { key: name, ...more });
const menu = () => screen.queryAllByRole('menuitem', { hidden: true }).map(one => one.textContent);
const openMenu = (name: string) => {
  item(name).focus();
  key('F10', { shiftKey: true });
};
const choose = (label: string) => fireEvent.click(screen.getAllByRole('menuitem', { hidden: true }).find(one => one.textContent === label)!);
const filter = (text: string) => fireEvent.input(screen.getByLabelText(/^Filter/), { target: { value: text } });

interface Drawn { port: FakePort; opened: unknown[]; inserted: string[]; forms: unknown[]; redraw: (props: Partial<SidebarProps>) => void }

function draw(answers: Parameters<typeof fakePort>[0] = {}, props: Partial<SidebarProps> = {}, event: Topics['overview']['event'] | null = samples.overview, extras: Partial<Port> = {}): Drawn {
  const opened: unknown[] = [];
  const inserted: string[] = [];
  const forms: unknown[] = [];
  const shell: Shell = { openForm: (form, start) => forms.push([form, start]), ...props.shell };
  const port = fakePort(answers, { openPanel: (...all) => opened.push(all.filter(Boolean)), insertCell: text => inserted.push(text), ...extras });
  const overview = new Overview(port);
  const element = (more: Partial<SidebarProps>) => <Sidebar overview={overview} {...props} {...more} shell={shell} />;
  const { rerender } = render(element({}));
  if (event) port.emit('overview', event);
  return { port, opened, inserted, forms, redraw: more => rerender(element(more)) };
}

describe('the trees', () => {
  it('have services by target, with counts, and models with their versions', async () => {
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    expect(names()).toEqual([
      'Local, 2', 'iris-tree, Live, Revision 3', 'sandbox, Stopped',
      'Container Instances, 1', 'diabetes-aci, Unhealthy, Revision 3',
      'Docker, 3', 'customer-churn-gradient-boosting-eu-west-canary-green, Deploying Push image 62 %', 'diabetes-regression, Live, Revision 3', 'house-prices, Failed',
      'Kubernetes, aks-ml, 1', 'customer-churn-gradient-boosting-production, Updating 10 %, Revision 3',
      'churn-gbm, 3 versions', 'diabetes, 8 versions',
    ]);
    fireEvent.click(item('churn-gbm'));
    expect(names().slice(-4, -1)).toEqual(['churn-gbm:3, 3 min ago, 1.2 MB', expect.stringMatching(/^churn-gbm:2, /), expect.stringMatching(/^churn-gbm:1, /)]);
    expect(item('churn-gbm:3').getAttribute('aria-level')).toBe('2');
    expect(item('iris-tree').getAttribute('aria-setsize')).toBe('2');
  });

  it('have services by state, what is wrong first, or one list of all', async () => {
    const { redraw } = draw({}, { groups: 'state' });
    await screen.findByRole('tree', { name: 'Services' });
    expect(names().slice(0, 9)).toEqual([
      'Deploying, 1', expect.stringMatching(/^customer-churn/), 'Updating, 1', expect.stringMatching(/^customer-churn/),
      'Failed, 1', 'house-prices, Failed', 'Unhealthy, 1', 'diabetes-aci, Unhealthy, Revision 3', 'Live, 2',
    ]);
    fireEvent.click(item('Failed, 1'));
    expect(names()).not.toContain('house-prices, Failed');
    redraw({ groups: 'none' });
    expect(names().slice(2, 4)).toEqual(['diabetes-aci, Unhealthy, Revision 3', 'diabetes-regression, Live, Revision 3']);
    expect(item('house-prices').getAttribute('aria-level')).toBe('1');
  });

  it('have workspaces when there are several, and one that cannot be read hides no other', async () => {
    draw({}, {}, samples.severalWorkspaces);
    await screen.findByRole('tree', { name: 'Services' });
    expect(names().slice(0, 2)).toEqual(['diabetes, 3', 'Local, 2']);
    expect(names()).toContain('churn-eu, Live, Revision 3');
    expect(names()).toContain('team, Unreadable');
    expect(screen.getByText('The workspace team cannot be read')).toBeTruthy();
    expect(screen.getByText(/^Check the network/)).toBeTruthy();
  });

  it('draw what is in view only', async () => {
    draw({}, {}, samples.many());
    await screen.findByRole('tree', { name: 'Services' });
    expect(screen.getAllByRole('treeitem').length).toBeLessThan(100);
    item('Local').focus();
    key('End');
    await waitFor(() => expect(focused()).toMatch(/^service-/));
    expect(screen.getAllByRole('treeitem').length).toBeLessThan(100);
  });

  it('keep a row in focus while rows come and go', async () => {
    const { port } = draw();
    await screen.findByRole('tree', { name: 'Services' });
    item('sandbox').focus();
    port.emit('overview', { services: [samples.serviceRow('aaa')] });
    await waitFor(() => expect(names()).toContain('aaa, Live, Revision 3'));
    expect(focused()).toBe('sandbox, Stopped');
    port.emit('overview', { gone: [{ kind: 'service', workspace: 'w', name: 'sandbox' }] });
    await waitFor(() => expect(names()).not.toContain('sandbox, Stopped'));
    expect(focused()).toBe('Container Instances, 1');
  });
});

describe('the keyboard', () => {
  it('moves, opens, closes and finds by letters', async () => {
    const { opened } = draw();
    await screen.findByRole('tree', { name: 'Services' });
    expect(screen.getAllByRole('treeitem').filter(one => one.tabIndex === 0)).toHaveLength(2); // one stop for each tree
    item('Local').focus();
    key('ArrowDown');
    await waitFor(() => expect(focused()).toBe('iris-tree, Live, Revision 3'));
    key('ArrowLeft');
    await waitFor(() => expect(focused()).toBe('Local, 2'));
    key('ArrowLeft');
    await waitFor(() => expect(item('Local').getAttribute('aria-expanded')).toBe('false'));
    expect(names()).not.toContain('sandbox, Stopped');
    key('ArrowRight');
    await waitFor(() => expect(names()).toContain('sandbox, Stopped'));
    key('ArrowRight');
    await waitFor(() => expect(focused()).toBe('iris-tree, Live, Revision 3'));
    key('End');
    await waitFor(() => expect(focused()).toMatch(/^customer-churn-gradient-boosting-production/));
    key('Home');
    await waitFor(() => expect(focused()).toBe('Local, 2'));
    key('d');
    await waitFor(() => expect(focused()).toMatch(/^diabetes-aci/));
    key('d');
    await waitFor(() => expect(focused()).toMatch(/^Docker/));
    await new Promise(done => setTimeout(done, 0));
    key('Enter');
    await waitFor(() => expect(item('Docker').getAttribute('aria-expanded')).toBe('false'));
    item('iris-tree').focus();
    key('Enter');
    expect(opened).toEqual([[{ service: 'iris-tree', workspace: 'w' }]]);
  });

  it('opens the menu with the menu key, Shift F10 and a right click, and Escape returns to the row', async () => {
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    const all = ['Open panel', 'Test', 'Logs', 'Copy URI', 'Copy as curl', 'Insert a cell', 'Restart', 'Stop', 'Delete…'];
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toEqual(all));
    expect(focused()).toBe('Open panel');
    key('s');
    expect(focused()).toBe('Stop');
    key('Escape');
    await waitFor(() => expect(menu()).toEqual([]));
    expect(focused()).toBe('iris-tree, Live, Revision 3');
    key('ContextMenu');
    await waitFor(() => expect(menu()).toEqual(all));
    key('Escape');
    fireEvent.contextMenu(item('sandbox'), { clientX: 5, clientY: 5 });
    await waitFor(() => expect(menu()).toEqual(['Open panel', 'Logs', 'Insert a cell', 'Start', 'Delete…']));
  });
});

describe('actions', () => {
  it('that a state, a target or the front end cannot do are absent', async () => {
    draw({}, {}, { whole: true, workspaces: [samples.workspace()], models: [], services: [samples.serviceRow('elsewhere', 'live', { can: ['test'] })] }, { openPanel: undefined, insertCell: undefined });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('elsewhere');
    await waitFor(() => expect(menu()).toEqual(['Copy URI', 'Copy as curl']));
  });

  it('open a tab of the panel, insert the code, and open forms with the model chosen', async () => {
    const { opened, inserted, forms } = draw();
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Test'));
    choose('Test');
    expect(opened).toEqual([[{ service: 'iris-tree', workspace: 'w' }, 'test']]);
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Insert a cell'));
    choose('Insert a cell');
    await waitFor(() => expect(inserted).toEqual(['service = Webservice(ws, "iris-tree")']));
    openMenu('churn-gbm');
    await waitFor(() => expect(menu()).toEqual(['Deploy…', 'Register new version…', 'Copy id', 'Insert a cell']));
    choose('Deploy…');
    openMenu('churn-gbm');
    await waitFor(() => expect(menu()).toContain('Register new version…'));
    choose('Register new version…');
    expect(forms).toEqual([['deploy', { workspace: 'w', given: { models: ['churn-gbm:3'] } }], ['register', { workspace: 'w', given: { name: 'churn-gbm' } }]]);
  });

  it('copy a call as curl, and say so in the row', async () => {
    const copied: string[] = [];
    vi.stubGlobal('navigator', { ...navigator, clipboard: { writeText: async (text: string) => void copied.push(text) } });
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Copy as curl'));
    choose('Copy as curl');
    await screen.findByText('Copied');
    expect(copied[0]).toMatch(/^curl /);
    vi.unstubAllGlobals();
  });

  it('show their progress in the row until it has changed', async () => {
    let done: () => void = () => undefined;
    const { port } = draw({ 'service.stop': () => new Promise(resolve => (done = () => resolve({ text: 'Stopped' }))) });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Stop'));
    choose('Stop');
    await waitFor(() => expect(names()).toContain('iris-tree, Stopping…'));
    expect(port.asked).toContainEqual({ name: 'service.stop', params: { service: 'iris-tree', workspace: 'w' } });
    done();
    await new Promise(next => setTimeout(next, 5));
    expect(names()).toContain('iris-tree, Stopping…'); // answered, but not told yet
    port.emit('overview', { services: [samples.serviceRow('iris-tree', 'stopped')] });
    await waitFor(() => expect(names()).toContain('iris-tree, Stopped'));
  });

  it('are over when they are answered after their row has changed', async () => {
    let done: () => void = () => undefined;
    const { port } = draw({ 'service.stop': () => new Promise(resolve => (done = () => resolve({ text: 'Stopped' }))) });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Stop'));
    choose('Stop');
    await waitFor(() => expect(names()).toContain('iris-tree, Stopping…'));
    port.emit('overview', { services: [samples.serviceRow('iris-tree', 'stopped')] });
    done();
    await waitFor(() => expect(names()).toContain('iris-tree, Stopped'));
  });

  it('show a failure below the row, in three lines', async () => {
    draw({ 'service.stop': { code: 'in-progress', error: 'It cannot be stopped now', cause: 'a deployment runs', hint: 'watch it with `mldeploy service show iris-tree`' } });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Stop'));
    choose('Stop');
    await screen.findByText('It cannot be stopped now');
    expect(screen.getByText('A deployment runs')).toBeTruthy();
    expect(screen.getByText('mldeploy service show iris-tree').tagName).toBe('CODE');
    fireEvent.click(screen.getByLabelText('Dismiss'));
    await waitFor(() => expect(screen.queryByText('It cannot be stopped now')).toBeNull());
    expect(focused()).toBe('iris-tree, Live, Revision 3');
  });

  it('delete once the name is typed, and show the proof though the row has gone', async () => {
    const { port } = draw({ 'service.delete': { text: 'Deleted, with 2 processes.', left: [] } });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Delete…'));
    choose('Delete…');
    const field = await screen.findByLabelText(/^Delete iris-tree/);
    await waitFor(() => expect(document.activeElement).toBe(field));
    key('Enter');
    expect(port.asked.some(one => one.name === 'service.delete')).toBe(false);
    fireEvent.input(field, { target: { value: 'iris-tree' } });
    await waitFor(() => expect(screen.getByText('Delete service').hasAttribute('disabled')).toBe(false));
    key('Enter');
    port.emit('overview', { gone: [{ kind: 'service', workspace: 'w', name: 'iris-tree' }] });
    await screen.findByText('Deleted, with 2 processes. Nothing is left of it.');
    expect(names()).toContain('iris-tree, Deleted, Revision 3');
    expect(port.asked).toContainEqual({ name: 'service.delete', params: { service: 'iris-tree', workspace: 'w', confirm: 'iris-tree' } });
    fireEvent.click(screen.getByLabelText('Dismiss'));
    await waitFor(() => expect(names().some(one => one!.startsWith('iris-tree'))).toBe(false));
  });

  it('say what is left of a service that was not deleted wholly', async () => {
    draw({ 'service.delete': { text: '', left: ['process 4711'] } });
    await screen.findByRole('tree', { name: 'Services' });
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toContain('Delete…'));
    choose('Delete…');
    fireEvent.input(await screen.findByLabelText(/^Delete iris-tree/), { target: { value: 'iris-tree' } });
    await waitFor(() => expect(screen.getByText('Delete service').hasAttribute('disabled')).toBe(false));
    fireEvent.click(screen.getByText('Delete service'));
    await screen.findByText('Left: process 4711');
  });

  it('refuse to delete a version that services use, and name them; delete another', async () => {
    const { port } = draw();
    await screen.findByRole('tree', { name: 'Services' });
    fireEvent.click(item('diabetes, '));
    await waitFor(() => expect(names()).toContain('diabetes:7, in 2 services, 1.1 MB'));
    openMenu('diabetes:7');
    await waitFor(() => expect(menu()).toEqual(['Deploy…', 'Copy id', 'Insert a cell', 'Show details', 'Delete version…']));
    choose('Delete version…');
    await screen.findByText('diabetes:7 is used by 2 services');
    expect(screen.getByText('In use: diabetes-regression, iris-tree')).toBeTruthy();
    openMenu('diabetes:6');
    await waitFor(() => expect(menu()).toContain('Delete version…'));
    choose('Delete version…');
    fireEvent.input(await screen.findByLabelText(/^Delete diabetes:6/), { target: { value: 'diabetes:6' } });
    await waitFor(() => expect(screen.getByText('Delete version').hasAttribute('disabled')).toBe(false));
    fireEvent.click(screen.getByText('Delete version'));
    await screen.findByText('Deleted its files');
    expect(port.asked).toContainEqual({ name: 'model.delete', params: { model: 'diabetes:6', workspace: 'w', confirm: 'diabetes:6' } });
  });

  it('unfold tags and description of a version', async () => {
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    fireEvent.click(item('diabetes, '));
    await waitFor(() => expect(names()).toContain('diabetes:7, in 2 services, 1.1 MB'));
    item('diabetes:7').focus();
    key('ArrowRight');
    await screen.findByText('stage=production, owner=mia');
    expect(screen.getByText('Ridge over ten columns')).toBeTruthy();
  });
});

describe('the filter', () => {
  it('finds by name, state, model and tag, opens what fits, and Escape ends it', async () => {
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    const found = () => names().filter(one => !/, \d|versions$/.test(one!));
    filter('FAILED');
    await waitFor(() => expect(names()).toEqual(['Docker, 1 of 3', 'house-prices, Failed']));
    expect(screen.getByText('No model fits.')).toBeTruthy();
    filter('team=care');
    await waitFor(() => expect(names()).toEqual(['Docker, 1 of 3', 'diabetes-regression, Live, Revision 3']));
    filter('owner=mia');
    await waitFor(() => expect(names()).toEqual(['diabetes, 8 versions', 'diabetes:7, in 2 services, 1.1 MB']));
    filter('customer updating');
    await waitFor(() => expect(names()[1]).toMatch(/production/));
    filter('nothing like it');
    await screen.findByText('Nothing fits “nothing like it”.');
    expect(found()).toEqual([]);
    fireEvent.keyDown(screen.getByLabelText(/^Filter/), { key: 'Escape' });
    await waitFor(() => expect(names()).toHaveLength(13));
  });

  it('is left with the down arrow, and set by whoever shows the sidebar', async () => {
    const { redraw } = draw();
    await screen.findByRole('tree', { name: 'Services' });
    redraw({ show: { filter: 'Failed' } });
    await waitFor(() => expect(names()).toEqual(['Docker, 1 of 3', 'house-prices, Failed']));
    screen.getByLabelText(/^Filter by/).focus();
    key('ArrowDown');
    await waitFor(() => expect(focused()).toBe('house-prices, Failed'));
  });
});

describe('what is remembered', () => {
  it('is what was opened and closed by hand, but nothing of a filter', async () => {
    const saved: Record<string, boolean>[] = [];
    draw({}, { memory: { open: { 't w\ndocker': false }, save: open => saved.push(open) } });
    await screen.findByRole('tree', { name: 'Services' });
    expect(item('Docker').getAttribute('aria-expanded')).toBe('false');
    fireEvent.click(item('churn-gbm'));
    fireEvent.click(item('Docker'));
    expect(saved).toEqual([{ 't w\ndocker': false, 'm w\nchurn-gbm': true }, { 'm w\nchurn-gbm': true }]);
    filter('live');
    await waitFor(() => expect(item('Docker').getAttribute('aria-expanded')).toBe('true'));
    fireEvent.click(item('Docker'));
    await waitFor(() => expect(item('Docker').getAttribute('aria-expanded')).toBe('false'));
    expect(saved).toHaveLength(2);
    fireEvent.click(screen.getByText('Models'));
    expect(saved[2]).toEqual({ 'm w\nchurn-gbm': true, models: false });
  });
});

describe('without services or a connection', () => {
  it('says what will appear, and offers the first step', async () => {
    const { forms } = draw({}, {}, { whole: true, workspaces: [samples.workspace()], services: [], models: [] });
    fireEvent.click(await screen.findByText('Deploy a model…'));
    fireEvent.click(screen.getByText('Register a model…'));
    expect(forms).toEqual([['deploy', { workspace: 'w' }], ['register', { workspace: 'w' }]]);
  });

  it('says why the only workspace cannot be read', async () => {
    draw({}, {}, { whole: true, workspaces: [samples.workspace({ failure: samples.storeAway })], services: [], models: [] });
    await screen.findByText('The workspace team cannot be read');
    expect(screen.queryByText('No services yet')).toBeNull();
  });

  it('shows what was true, since when, and gives no orders; it tries again when asked', async () => {
    const tried: string[] = [];
    const { port } = draw({}, {}, samples.overview, { reconnect: () => tried.push('now') });
    await screen.findByRole('tree', { name: 'Services' });
    port.lose(new Date(2026, 10, 26, 14, 8).toISOString(), new Date(Date.now() + 7500).toISOString());
    await screen.findByText(/^No answer from the Jupyter server since 14:08\. States below/);
    expect(screen.getByText('next try in 8 s')).toBeTruthy();
    expect(screen.getByRole('tree', { name: 'Services, last known' })).toBeTruthy();
    expect(names()).toContain('iris-tree, Was live, Revision 3');
    expect(screen.getByLabelText('Deploy a model').hasAttribute('disabled')).toBe(true);
    openMenu('iris-tree');
    await waitFor(() => expect(menu()).toEqual(['Open panel', 'Logs', 'Copy URI']));
    fireEvent.click(screen.getByText('Try now'));
    expect(tried).toEqual(['now']);
    port.emit('overview', samples.overview);
    await waitFor(() => expect(names()).toContain('iris-tree, Live, Revision 3'));
  });

  it('announces a change of state, and counts many', async () => {
    const { port } = draw({}, {}, samples.many(10, 0));
    await screen.findByRole('tree', { name: 'Services' });
    port.emit('overview', { services: [samples.serviceRow('service-1', 'failed')] });
    await waitFor(() => expect(screen.getAllByRole('status')[0]!.textContent).toBe('service-1: Failed'));
    port.emit('overview', { services: [2, 3, 4, 5].map(at => samples.serviceRow(`service-${at}`, 'deploying')) });
    await waitFor(() => expect(screen.getAllByRole('status')[0]!.textContent).toBe('4 services changed'));
  });
});

describe('dragging', () => {
  it('has the code as text for editors and as a cell for notebooks', async () => {
    draw();
    await screen.findByRole('tree', { name: 'Services' });
    fireEvent.pointerDown(item('churn-gbm'));
    await new Promise(next => setTimeout(next, 5));
    const data: Record<string, string> = {};
    const dataTransfer = { setData: (type: string, value: string) => void (data[type] = value), effectAllowed: '' };
    fireEvent(item('churn-gbm'), Object.assign(new Event('dragstart', { bubbles: true, cancelable: true }), { dataTransfer }));
    expect(data['text/plain']).toBe('model = Model(ws, id="churn-gbm:3")');
    expect(JSON.parse(data[CELLS]!)).toEqual([{ cell_type: 'code', source: data['text/plain'], metadata: {}, outputs: [], execution_count: null }]);
  });

  it('is left to the front end where it has drags of its own', async () => {
    const drags: unknown[] = [];
    draw({}, { shell: { startDrag: (at, data) => drags.push([at, data['text/plain']]) } });
    await screen.findByRole('tree', { name: 'Services' });
    expect(item('iris-tree').getAttribute('draggable')).not.toBe('true');
    fireEvent.pointerDown(item('iris-tree'), { button: 0, clientX: 10, clientY: 10 });
    fireEvent.pointerMove(document, { clientX: 12, clientY: 10 });
    await new Promise(next => setTimeout(next, 5));
    expect(drags).toEqual([]);
    fireEvent.pointerMove(document, { clientX: 30, clientY: 14 });
    expect(drags).toEqual([[{ clientX: 30, clientY: 14 }, 'service = Webservice(ws, "iris-tree")']]);
    fireEvent.pointerMove(document, { clientX: 40, clientY: 14 });
    expect(drags).toHaveLength(1);
  });
});

describe('the words', () => {
  it('all go through the translation that is handed in', async () => {
    const trans = { __: (text: string, ...values: unknown[]) => `«${ENGLISH.__(text, ...values)}»`, _n: (one: string, many: string, n: number, ...values: unknown[]) => `«${ENGLISH._n(one, many, n, ...values)}»` };
    draw({}, { trans });
    await screen.findByRole('tree', { name: '«Services»' });
    expect(names()).toContain('iris-tree, «Live», «Revision 3»');
    openMenu('iris-tree');
    await waitFor(() => expect(menu().length).toBeGreaterThan(5));
    expect(menu().every(label => /^«.*»$/.test(label!))).toBe(true);
  });
});
