import { act, cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakePort, fakePort } from '../testing/fake_port';
import * as samples from '../testing/samples';
import { Panel } from './panel';

const NAME = 'diabetes-regression';

afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

async function show(port: FakePort) {
  port.emit('service', { service: samples.service() });
  port.emit('deployment', { timeline: samples.live });
  const shown = render(<Panel port={port} service={NAME} />);
  await screen.findByText('Healthy');
  return shown;
}

const asked = (port: FakePort, name: string) => port.asked.filter(one => one.name === name);

describe('a key', () => {
  const copied: string[] = [];
  beforeEach(() => {
    copied.length = 0;
    vi.spyOn(navigator.clipboard, 'writeText').mockImplementation(async text => void copied.push(text));
  });

  /** Clicks, and lets the answer arrive: no timer passes. */
  const showKey = () =>
    act(async () => {
      fireEvent.click(screen.getByLabelText('Show the key'));
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    });

  it('is shown for 30 s', async () => {
    const port = fakePort();
    const { container } = await show(port);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    await showKey();
    expect(container.textContent).toContain('k1-secret-key');
    act(() => void vi.advanceTimersByTime(29_900));
    expect(container.textContent).toContain('k1-secret-key');
    act(() => void vi.advanceTimersByTime(200));
    expect(container.innerHTML).not.toContain('k1-secret');
    await showKey();
    expect(asked(port, 'service.keys')).toHaveLength(2); // it may be another by now
  });

  it('is hidden by a second click', async () => {
    const { container } = await show(fakePort());
    fireEvent.click(screen.getByLabelText('Show the key'));
    await waitFor(() => expect(container.textContent).toContain('k1-secret-key'));
    fireEvent.click(screen.getByLabelText('Show the key'));
    expect(container.innerHTML).not.toContain('k1-secret');
  });

  it('is copied without being shown', async () => {
    const { container } = await show(fakePort());
    fireEvent.click(screen.getByLabelText('Copy the key'));
    await waitFor(() => expect(copied).toEqual(['k1-secret-key']));
    await screen.findByText('Copied');
    expect(container.innerHTML).not.toContain('k1-secret');
  });
});

describe('the menu', () => {
  it('keeps the focus on its entry when others go', async () => {
    const port = fakePort();
    await show(port);
    fireEvent.click(screen.getByLabelText('More actions'));
    const entry = await screen.findByRole('menuitem', { name: 'Delete…' });
    entry.focus();
    port.emit('service', { service: samples.service({ state: 'unhealthy', can: ['stop', 'delete'] }) });
    await waitFor(() => expect(screen.queryByRole('menuitem', { name: 'Restart' })).toBeNull());
    expect(document.activeElement).toBe(entry);
    expect(entry.textContent).toBe('Delete…');
  });
});

describe('a question', () => {
  const menu = async (item: string) => {
    fireEvent.click(screen.getByLabelText('More actions'));
    fireEvent.click(await screen.findByRole('menuitem', { name: item }));
  };

  it('before a delete wants the name, and Enter does nothing without it', async () => {
    const port = fakePort();
    await show(port);
    await menu('Delete…');
    const field = screen.getByLabelText(/Type the name to confirm/) as HTMLInputElement;
    expect(document.activeElement).toBe(field);
    const yes = screen.getByText('Delete service') as HTMLButtonElement;
    for (const typed of ['', 'diabetes', `${NAME} `, NAME.toUpperCase()]) {
      fireEvent.input(field, { target: { value: typed } });
      expect(yes.disabled).toBe(true);
      fireEvent.keyDown(field, { key: 'Enter' });
    }
    expect(asked(port, 'service.delete')).toEqual([]);
    fireEvent.input(field, { target: { value: NAME } });
    expect(yes.disabled).toBe(false);
    fireEvent.keyDown(field, { key: 'Enter' });
    expect(asked(port, 'service.delete')).toEqual([{ name: 'service.delete', params: { service: NAME, workspace: 'w', confirm: NAME } }]);
    await waitFor(() => expect(screen.queryByText('Delete service')).toBeNull());
  });

  it('is answered with the safe answer by Escape', async () => {
    const port = fakePort();
    await show(port);
    await menu('Delete…');
    fireEvent.keyDown(screen.getByLabelText(/Type the name to confirm/), { key: 'Escape' });
    expect(screen.queryByText('Delete service')).toBeNull();

    fireEvent.click(screen.getByRole('tab', { name: 'History' }));
    fireEvent.click((await screen.findAllByText('Roll back'))[0]!);
    const question = screen.getByRole('group', { name: 'Roll back to revision 2' });
    expect(within(question).getByText('Keep revision 3')).toBe(document.activeElement);
    fireEvent.keyDown(document.activeElement!, { key: 'Escape' });
    expect(screen.queryByText('Roll back to 2')).toBeNull();
    expect([...asked(port, 'service.delete'), ...asked(port, 'service.rollback')]).toEqual([]);
  });

  it('says what is left when not everything is gone', async () => {
    await show(fakePort({ 'service.delete': { text: '', left: ['process 4711'] } }));
    await menu('Delete…');
    fireEvent.input(screen.getByLabelText(/Type the name to confirm/), { target: { value: NAME } });
    fireEvent.click(screen.getByText('Delete service'));
    await screen.findByText('Left: process 4711');
    expect(screen.getByText('Delete service')).toBeTruthy();
  });

  it('before a new key is asked in the settings', async () => {
    const port = fakePort({ 'form.describe': samples.updateForm, 'service.regenKey': { text: '' } });
    await show(port);
    fireEvent.click(screen.getByRole('tab', { name: 'Settings' }));
    fireEvent.click(await screen.findByText('New key…'));
    expect(document.activeElement!.textContent).toBe('Keep');
    fireEvent.click(screen.getByText('Replace the key'));
    await waitFor(() => expect(screen.queryByText('Replace the key')).toBeNull());
    expect(asked(port, 'service.regenKey')[0]!.params).toEqual({ service: NAME, workspace: 'w', key: 'primary' });
  });
});

describe('the history', () => {
  it('has what happened while it was live, and when', async () => {
    await show(fakePort());
    fireEvent.click(screen.getByRole('tab', { name: 'History' }));
    const list = (await screen.findByText('What happened while it was live')).parentElement!;
    expect([...list.querySelectorAll('dd')].map(one => one.textContent)).toEqual([
      'Live Answers again', 'Unhealthy MemoryError in run()', 'Worker replaced Worker 4711 was replaced: it ended with signal 9',
    ]);
    expect(list.querySelector('dt')!.title).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  });

  it('shows the receipt of a revision that has an image, and of no other', async () => {
    await show(fakePort());
    fireEvent.click(screen.getByRole('tab', { name: 'History' }));
    const [button, ...others] = await screen.findAllByRole('button', { name: 'Receipt' });
    expect(others).toHaveLength(1); // of revision 2; 4 and 1 have no image
    fireEvent.click(button!);
    expect(screen.getByLabelText('Receipt of revision 3').textContent).toContain('Base imagepython:3.11-slim');
    fireEvent.click(button!);
    expect(screen.queryByLabelText('Receipt of revision 3')).toBeNull();
  });

  it('says nothing of what did not happen', async () => {
    await show(fakePort({ 'service.events': [] }));
    fireEvent.click(screen.getByRole('tab', { name: 'History' }));
    await screen.findAllByText('Roll back');
    expect(screen.queryByText('What happened while it was live')).toBeNull();
  });
});

describe('Cancel', () => {
  it('comes back after 5 s without a change, with the command', async () => {
    const port = fakePort();
    port.emit('deployment', { timeline: samples.timeline() });
    render(<Panel port={port} service={NAME} deployment="d-1" />);
    await screen.findByText('Cancel');
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    fireEvent.click(screen.getByText('Cancel'));
    fireEvent.click(screen.getByText('Cancelling…')); // a second click asks for nothing
    expect(asked(port, 'deployment.cancel')).toHaveLength(1);
    act(() => void vi.advanceTimersByTime(5_000));
    expect(screen.getByText('Cancel')).toBeTruthy();
    expect(screen.getByText(`mldeploy service cancel ${NAME}`)).toBeTruthy();
  });
});
