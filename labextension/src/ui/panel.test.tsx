import { act, cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/preact';
import { afterEach, describe, expect, it } from 'vitest';
import { fakePort } from '../testing/fake_port';
import * as samples from '../testing/samples';
import { Panel } from './panel';

afterEach(cleanup);

describe('a deployment that runs', () => {
  it('shows all seven stages, the log, and a Cancel button that answers at once', async () => {
    const port = fakePort();
    port.emit('deployment', { timeline: samples.timeline(), lines: samples.deploymentLog });
    port.emit('service', { service: samples.service({ state: 'updating' }) });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    await screen.findByText('Deploying');
    expect(within(screen.getByRole('list', { name: 'Stages' })).getAllByRole('listitem')).toHaveLength(7);
    expect(screen.getByRole('progressbar', { name: 'Push image' }).getAttribute('aria-valuenow')).toBe('62');
    fireEvent.click(screen.getByText('Cancel'));
    expect(screen.getByText('Cancelling…').getAttribute('aria-busy')).toBe('true');
    expect(port.asked).toContainEqual({ name: 'deployment.cancel', params: { deployment: 'd-1' } });
  });
});

describe('a deployment that has just begun', () => {
  it('is drawn as its output has it, before anything comes from the kernel', () => {
    const timeline = samples.timeline();
    render(<Panel port={fakePort()} service={timeline.service} deployment={timeline.deployment} timeline={timeline} />);
    expect(within(screen.getByRole('list', { name: 'Stages' })).getAllByRole('listitem')).toHaveLength(7);
    expect(screen.getByText('Cancel')).toBeTruthy();
  });

  it('does not say that the revision before it is live', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service() });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" begins />);
    await waitFor(() => expect(port.topics()).toContain('service'));
    expect(screen.queryByText('Live')).toBeNull();
    expect(screen.getByText('Loading')).toBeTruthy();
    port.emit('deployment', { timeline: samples.timeline() });
    await screen.findByText('Deploying');
  });
});

describe('a deployment that failed', () => {
  it('names cause, hint and place, and leads to the line of the cell', async () => {
    const focused: number[][] = [];
    const port = fakePort({}, { focusCell: (cell, line) => focused.push([cell, line]) > 0 });
    port.emit('deployment', { timeline: samples.failed });
    port.emit('service', { service: samples.service({ revision: 2 }) });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    await screen.findByText('Failed in Probe');
    fireEvent.click(screen.getByText('cell line 7'));
    expect(focused).toEqual([[4, 7]]);
    expect(screen.getByText('Revision 2 still serving')).toBeTruthy();
  });
});

describe('a live service', () => {
  it('never has its key on the page until it is asked for', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service() });
    port.emit('deployment', { timeline: samples.live });
    const { container } = render(<Panel port={port} service="diabetes-regression" />);
    await screen.findByText('Healthy');
    expect(container.innerHTML).not.toContain('k1-secret');
    fireEvent.click(screen.getByLabelText('Show the key'));
    await waitFor(() => expect(container.textContent).toContain('k1-secret-key'));
  });

  it('marks the very cell that a 422 is about', async () => {
    const port = fakePort({ 'service.score': samples.rejected });
    port.emit('service', { service: samples.service() });
    render(<Panel port={port} service="diabetes-regression" />);
    await screen.findByLabelText('bmi, row 1');
    fireEvent.click(screen.getByText('Send request'));
    await waitFor(() => expect(screen.getByLabelText('bmi, row 1').getAttribute('aria-invalid')).toBe('true'));
    expect(screen.getAllByText(/expected a number, got "n\/a"/)).toHaveLength(1);
  });

  it('says since when nothing was heard, and that services keep running', async () => {
    const port = fakePort();
    port.emit('service', { service: samples.service() });
    render(<Panel port={port} service="diabetes-regression" />);
    await screen.findByText('Live');
    port.lose(samples.before(10));
    await screen.findByText('Was live');
    expect(screen.getByText(/services keep running. It continues once the page is connected/)).toBeTruthy();
  });
});

describe('a service that was deleted', () => {
  it('says nothing of what had gone wrong before', async () => {
    const port = fakePort();
    const error = { code: 'cancelled', error: 'the deployment was cancelled', cause: 'c', hint: 'deploy it again' };
    port.emit('service', { service: samples.service({ state: 'deleted', can: [], tabs: [], error }) });
    render(<Panel port={port} service="diabetes-regression" />);
    await screen.findByText(/^It was deleted/);
    expect(screen.queryByText(error.error)).toBeNull();
  });
});

describe('an update of a live service', () => {
  it('leaves the fold where it is until something is heard of it', async () => {
    const port = fakePort();
    port.emit('deployment', { timeline: samples.live });
    port.emit('service', { service: samples.service() });
    render(<Panel port={port} service="diabetes-regression" />);
    await screen.findByText(/^Updated in/);
    port.emit('service', { service: samples.service({ deployment: 'd-9' }) });
    fireEvent.click(screen.getByText(/^Updated in/)); // the panel follows the next deployment, and knows nothing of it yet
    expect(screen.getByText(/^Updated in/)).toBeTruthy();
    port.emit('deployment', { timeline: samples.timeline({ deployment: 'd-9' }) });
    await screen.findByRole('timer');
    expect(screen.queryByText(/^Updated in/)).toBeNull();
  });
});

describe('what was heard of a service before its newest deployment', () => {
  const watching = (answers = {}) => {
    const port = fakePort(answers);
    const watched: string[] = [];
    const { subscribe } = port;
    port.subscribe = (topic, params, ...rest) => {
      if (topic === 'deployment') watched.push((params as { deployment: string }).deployment);
      return subscribe(topic, params, ...rest);
    };
    return { port, watched };
  };

  it('does not lead a panel back from the deployment that was begun again', async () => {
    const { port, watched } = watching({ 'deployment.retry': { deployment: 'd-2' } });
    port.emit('deployment', { timeline: samples.timeline({ state: 'cancelled', can: ['retry'] }) });
    port.emit('service', { service: samples.service({ state: 'cancelled', deployment: 'd-1', revision: 0 }) });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    fireEvent.click(await screen.findByText('Deploy again'));
    await waitFor(() => expect(watched).toEqual(['d-1', 'd-2']));
    await act(async () => port.emit('deployment', { timeline: { ...samples.live, deployment: 'd-2' } }));
    await act(async () => port.emit('service', { service: samples.service({ deployment: 'd-2' }) }));
    await screen.findByText('Live');
    port.emit('service', { service: samples.service({ deployment: 'd-3' }) });
    await waitFor(() => expect(watched).toEqual(['d-1', 'd-2', 'd-3']));
  });

  it('does not lead a panel back from an update that is live at once', async () => {
    const { port, watched } = watching();
    port.emit('service', { service: samples.service({ deployment: 'd-0' }) });
    port.emit('deployment', { timeline: { ...samples.live, deployment: 'd-1' } });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" begins />);
    await screen.findByText('Live');
    await act(async () => port.emit('service', { service: samples.service({ deployment: 'd-1' }) }));
    expect(watched).toEqual(['d-1']);
  });
});

describe('a deployment that was cancelled, after which another began', () => {
  it('does not say that nothing serves', async () => {
    const port = fakePort();
    const timeline = samples.timeline({ state: 'cancelled', serving: 0, message: 'It was cancelled. Nothing serves.', can: ['report'] });
    port.emit('deployment', { timeline });
    port.emit('service', { service: samples.service({ deployment: 'd-2' }) });
    render(<Panel port={port} service="diabetes-regression" deployment={timeline.deployment} />);
    await screen.findByText(/Another deployment has begun since; revision/);
    expect(screen.queryByText(/Nothing serves/)).toBeNull();
  });
});

describe('a deployment that failed, after which another began', () => {
  it('stays what it came to, and leads to the newest', async () => {
    const port = fakePort();
    port.emit('deployment', { timeline: samples.failed });
    port.emit('service', { service: samples.service({ deployment: 'd-2' }) });
    render(<Panel port={port} service="diabetes-regression" deployment="d-1" />);
    await screen.findByText('Failed in Probe');
    expect(screen.queryByText('Retry')).toBeNull();
    port.emit('deployment', { timeline: { ...samples.live, deployment: 'd-2' } });
    fireEvent.click(screen.getByText('Show the newest'));
    await screen.findByText('Live');
  });
});
