import { useState } from 'preact/hooks';
import type { Service } from '../protocol';
import { Confirm, FailureMessage, withValue } from './parts';
import { refOf, useOrder, usePort, useId } from './port_context';
import { plural, t } from './translation';

/** Deleting wants the name typed. The answer proves that nothing is left. */
export function DeleteQuestion({ service, onKeep, onDeleted }: { service: Service; onKeep: () => void; onDeleted: () => void }) {
  const port = usePort();
  const id = useId();
  const [typed, setTyped] = useState('');
  const [left, setLeft] = useState<string[]>([]);
  const { busy, failure, order, dismiss } = useOrder();
  const remove = () => {
    if (typed !== service.service) return;
    order('delete', () => port.request('service.delete', { ...refOf(service), confirm: typed }), answer => {
      setLeft(answer.left);
      if (!answer.left.length) onDeleted();
    });
  };
  const what = service.revision ? t`${service.service} and its ${plural(service.kept.length + 1, 'revision')}` : service.service;
  return (
    <>
      <Confirm
        danger
        label={t`Delete the service`}
        question={<label for={id}>{t`Delete ${what}? Models stay registered. Type the name to confirm.`}</label>}
        yes={t`Delete service`}
        no={t`Keep`}
        busy={!!busy}
        ready={typed === service.service}
        onYes={remove}
        onNo={onKeep}
      >
        <input class="mld-Input" id={id} autocomplete="off" spellcheck={false} value={typed} onInput={withValue(setTyped)} onKeyDown={event => event.key === 'Enter' && remove()} />
      </Confirm>
      <FailureMessage failure={failure} onDismiss={dismiss} />
      {left.length ? <FailureMessage failure={{ code: 'left', error: t`Not everything is gone`, cause: t`Left: ${left.join(', ')}`, hint: t`Delete it again` }} /> : null}
    </>
  );
}
