/**
 * A channel over the comm of a widget's model. It opens with a greeting: `hello {id, page}` is answered by `welcome {id}`.
 *
 * JupyterLab begins to send over a subshell of the kernel a moment after the comm is open; what it sends before waits
 * for the running cell. So the greeting is repeated until it is answered, and all else is sent after that, once.
 */
import type { Channel, Message } from './comm_port';
import { randomId } from './random_id';

const FIRST_MS = 50; // between two greetings; then twice as long each time
const LAST_MS = 30_000;

/** What is used of a model. */
export interface Sender {
  send(content: unknown): void;
  on(name: 'msg:custom', run: (message: Message) => void): void;
  off(name: 'msg:custom', run: (message: Message) => void): void;
}

/** `page` tells the kernel what kind of page this is. Greets until it is answered, or `signal` aborts. */
export function openChannel(model: Sender, page: string, signal?: AbortSignal): Channel {
  const id = randomId();
  const waiting: Message[] = [];
  let isOpen = false;
  const onWelcome = (message: Message) => {
    if (message.kind !== 'welcome' || message.id !== id) return;
    isOpen = true;
    model.off('msg:custom', onWelcome);
    for (const each of waiting.splice(0)) model.send(each);
  };
  const greet = (pause: number) => {
    if (isOpen || signal?.aborted) return;
    try {
      model.send({ kind: 'hello', id, page });
    } catch {
      return; // the comm was closed by the kernel's end, and opens no more
    }
    setTimeout(() => greet(Math.min(pause * 2, LAST_MS)), pause);
  };
  model.on('msg:custom', onWelcome);
  greet(FIRST_MS);
  return {
    send(message) {
      if (isOpen) model.send(message);
      else waiting.push(message);
    },
    listen(onMessage) {
      model.on('msg:custom', onMessage);
      return () => model.off('msg:custom', onMessage);
    },
  };
}
