import { useState } from 'preact/hooks';
import type { Service } from '../protocol';
import { plural } from './format';
import { Confirm, FailureMessage, withValue } from './parts';
import { refOf, useOrder, usePort, useId } from './port_context';

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
  const what = service.revision ? ` and its ${plural(service.kept.length + 1, 'revision')}` : '';
  return (
    <>
      <Confirm
        danger
        label="Delete the service"
        question={<label for={id}>Delete {service.service}{what}? Models stay registered. Type the name to confirm.</label>}
        yes="Delete service"
        no="Keep"
        busy={!!busy}
        ready={typed === service.service}
        onYes={remove}
        onNo={onKeep}
      >
        <input class="mld-Input" id={id} autocomplete="off" spellcheck={false} value={typed} onInput={withValue(setTyped)} onKeyDown={event => event.key === 'Enter' && remove()} />
      </Confirm>
      <FailureMessage failure={failure} onDismiss={dismiss} />
      {left.length ? <FailureMessage failure={{ code: 'left', error: 'Not everything is gone', cause: `Left: ${left.join(', ')}`, hint: 'Delete it again' }} /> : null}
    </>
  );
}
