import { render } from '@testing-library/preact';
import { expect, test, vi } from 'vitest';
import type { Port } from '../protocol';
import { Panel } from './panel';

test('the panel is a labelled section with the name of the service as its heading', () => {
  const port: Port = { request: vi.fn(), subscribe: () => () => {} };
  const page = render(<Panel port={port} subject={{ service: 'churn', workspace: '', deployment: '' }} />);
  expect(page.getByRole('heading').textContent).toBe('churn');
  expect(page.getByRole('region', { name: 'churn, service' })).toBeTruthy();
});
