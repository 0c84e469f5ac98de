import { useState } from 'preact/hooks';
import type { Service } from '../protocol';
import { DeleteQuestion } from './delete_question';
import { FormView } from './forms/form';
import { title } from './format';
import { Button, Confirm, FailureMessage } from './parts';
import { refOf, useOrder, usePort } from './port_context';
import { SIMPLE } from './words';

/** What can be changed of a running service, and the orders that end it. */
export function SettingsTab({ service, onBegun }: { service: Service; onBegun: (deployment: string) => void }) {
  const port = usePort();
  const ref = refOf(service);
  const orders = useOrder();
  const [asking, setAsking] = useState<'' | 'delete' | 'key'>('');
  const ask = (what: typeof asking) => setAsking(asking === what ? '' : what);
  const token = service.auth === 'token';
  const can = (order: Service['can'][number]) => service.can.includes(order);
  const order = (name: (typeof SIMPLE)[number]) => orders.order(name, () => port.request(`service.${name}`, ref));
  return (
    <>
      {can('update') && <FormView form="update" service={service.service} workspace={service.workspace} onBegun={begun => onBegun(begun.deployment)} version={service.revision} />}
      <Facts service={service} />
      <div class="mld-Foot">
        {SIMPLE.filter(can).map(name => <Button key={name} busy={orders.busy === name} onClick={() => order(name)}>{title(name)}</Button>)}
        {can('regen-key') && <Button expanded={asking === 'key'} onClick={() => ask('key')}>New {token ? 'tokens' : 'key'}…</Button>}
        {can('delete') && <Button kind="danger" expanded={asking === 'delete'} onClick={() => ask('delete')}>Delete…</Button>}
      </div>
      {asking === 'key' && (
        <Confirm
          label="Make a new key"
          question={token ? 'Refuse all tokens given so far? Clients ask for new ones.' : 'Replace the primary key? Clients that send the old one are refused at once. The secondary key stays.'}
          yes={token ? 'Refuse old tokens' : 'Replace the key'}
          no="Keep"
          busy={orders.busy === 'key'}
          onYes={() => orders.order('key', () => port.request('service.regenKey', { ...ref, key: token ? 'token' : 'primary' }), () => setAsking(''))}
          onNo={() => setAsking('')}
        />
      )}
      {asking === 'delete' && <DeleteQuestion service={service} onKeep={() => setAsking('')} onDeleted={() => setAsking('')} />}
      <FailureMessage failure={orders.failure} onDismiss={orders.dismiss} />
    </>
  );
}

/** What cannot be changed here. */
function Facts({ service }: { service: Service }) {
  const facts = [...service.environment, { label: 'Bundle', value: service.bundleDigest.slice(0, 8) }, { label: 'Folder', value: service.folder }].filter(fact => fact.value);
  if (!facts.length) return null;
  return (
    <div class="mld-Pane">
      <dl class="mld-Pairs">{facts.map(fact => <><dt>{fact.label}</dt><dd class="mld-Cut" title={fact.value}>{fact.value}</dd></>)}</dl>
    </div>
  );
}
