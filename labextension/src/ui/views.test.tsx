import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import { type FakePort, fakePort } from '../testing/fake_port';
import * as samples from '../testing/samples';
import { Panel } from './panel';

afterEach(cleanup);

const NAME = 'diabetes-regression';

/** A panel in a place of its own. */
function show(port: FakePort) {
  const container = document.body.appendChild(document.createElement('div'));
  render(<Panel port={port} service={NAME} deployment="d-1" />, { container });
  return within(container);
}
type View = ReturnType<typeof show>;

describe('two views of one deployment', () => {
  it('show the same, and each has its own search and folds', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service({ state: 'updating' }) });
    port.emit('deployment', { timeline: samples.timeline(), lines: samples.deploymentLog });
    const [left, right] = [show(port), show(port)];
    for (const view of [left, right]) await view.findByText('Deploying');
    fireEvent.input(left.getByLabelText('Search the log'), { target: { value: 'layer' } });
    expect(left.getByText(/^1 of \d+$/)).toBeTruthy();
    expect((right.getByLabelText('Search the log') as HTMLInputElement).value).toBe('');
    expect(right.queryByText(/^1 of/)).toBeNull();

    const heading = (view: View) => view.getAllByRole('button', { name: /^Check/ }).find(one => one.hasAttribute('aria-expanded'))!;
    expect([heading(left), heading(right)].map(one => one.getAttribute('aria-expanded'))).toEqual(['false', 'false']);
    fireEvent.click(heading(left));
    await waitFor(() => expect(heading(left).getAttribute('aria-expanded')).toBe('true'));
    expect(heading(right).getAttribute('aria-expanded')).toBe('false');

    port.emit('deployment', { timeline: samples.failed });
    for (const view of [left, right]) await view.findByText('Failed in Probe');
  });

  it('each have their own tab and fold once it is live', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service() });
    port.emit('deployment', { timeline: samples.live });
    const [left, right] = [show(port), show(port)];
    for (const view of [left, right]) await view.findByText('Healthy');
    fireEvent.click(left.getByRole('tab', { name: 'History' }));
    fireEvent.click(left.getByText('Updated in 46.6 s'));
    const chosen = (view: View) => view.getAllByRole('tab').find(tab => tab.getAttribute('aria-selected') === 'true')!.textContent;
    expect([chosen(left), chosen(right)]).toEqual(['History', 'Test']);
    expect([left, right].map(view => view.queryByRole('list', { name: 'Stages' }) !== null)).toEqual([true, false]);
  });
});

describe('a connection that is lost', () => {
  it('is said with what is stale, takes the buttons away, and all is back with the next event', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service({ state: 'updating' }) });
    port.emit('deployment', { timeline: samples.timeline() });
    const { container } = render(<Panel port={port} service={NAME} deployment="d-1" />);
    await screen.findByText('Deploying');
    port.lose('2026-06-02T14:02:07Z');
    await screen.findByText('Was deploying');
    const note = screen.getByText(/Nothing has been heard since/).textContent;
    expect(note).toMatch(/since \d\d:\d\d:07\. What is below was true then; services keep running/);
    expect(container.querySelector('section')!.getAttribute('aria-label')).toBe(`${NAME}, last known: deploying`);
    expect([screen.queryByText('Cancel'), screen.queryByLabelText('More actions')]).toEqual([null, null]);
    expect(screen.getByRole('list', { name: 'Stages' })).toBeTruthy(); // what was known stays

    port.emit('service', { service: samples.service() });
    port.emit('deployment', { timeline: samples.live });
    await screen.findByText('Live');
    expect(screen.queryByText(/Nothing has been heard since/)).toBeNull();
    expect(screen.getByLabelText('More actions')).toBeTruthy();
  });
});
