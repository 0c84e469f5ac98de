import { useState } from 'preact/hooks';
import type { Service } from '../protocol';
import { DeleteQuestion } from './delete_question';
import { FormView } from './forms/form';
import { Button, Confirm, FailureMessage } from './parts';
import { refOf, useOrder, usePort } from './port_context';
import { msg, t, translated } from './translation';
import { ORDER_WORDS, SIMPLE } from './words';

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
        {SIMPLE.filter(can).map(name => <Button key={name} busy={orders.busy === name} onClick={() => order(name)}>{translated(ORDER_WORDS[name])}</Button>)}
        {can('regen-key') && <Button expanded={asking === 'key'} onClick={() => ask('key')}>{token ? t`New tokens…` : t`New key…`}</Button>}
        {can('delete') && <Button kind="danger" expanded={asking === 'delete'} onClick={() => ask('delete')}>{t`Delete…`}</Button>}
      </div>
      {asking === 'key' && (
        <Confirm
          label={t`Make a new key`}
          question={token ? t`Refuse all tokens given so far? Clients ask for new ones.` : t`Replace the primary key? Clients that send the old one are refused at once. The secondary key stays.`}
          yes={token ? t`Refuse old tokens` : t`Replace the key`}
          no={t`Keep`}
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
  const facts = [...service.environment, { label: msg`Bundle`, value: service.bundleDigest.slice(0, 8) }, { label: msg`Folder`, value: service.folder }].filter(fact => fact.value);
  if (!facts.length) return null;
  return (
    <div class="mld-Pane">
      <dl class="mld-Pairs">{facts.map(fact => <><dt>{translated(fact.label)}</dt><dd class="mld-Cut" title={fact.value}>{fact.value}</dd></>)}</dl>
    </div>
  );
}
