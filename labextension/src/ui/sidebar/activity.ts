import { useEffect, useRef, useState } from 'preact/hooks';
import type { Failure } from '../../protocol';
import { asFailure } from '../port_context';

/** What happens in a row: an order that is carried out, a question, and what came of it. */
export interface Activity {
  word?: string; // stands for the state: "Stopping…", "Copied"
  busy?: boolean;
  failure?: Failure;
  question?: boolean; // whether to delete it
  said?: string; // what a delete answered
}

const FLASH = 2000; // milliseconds that "Copied" stands
const SETTLE = 3000; // milliseconds at most between an order's answer and the state that it made

export interface Activities {
  of: (key: string) => Activity | undefined;
  put: (key: string, activity: Activity | null) => void;
  /** Shows a word for a moment. */
  flash: (key: string, word: string) => void;
  /** Shows a word until the order is answered and its row has changed. What it answers goes to `then`. */
  run: <A>(key: string, word: string, act: () => Promise<A>, then?: (answer: A) => Activity | null) => void;
  /** The row has changed: an order is over as soon as it is answered. */
  settle: (key: string) => void;
}

export function useActivities(): Activities {
  const [all, setAll] = useState<Record<string, Activity>>({});
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>());
  const changed = useRef(new Set<string>()); // rows that changed before their order was answered
  const now = useRef(all);
  now.current = all;
  useEffect(() => () => timers.current.forEach(timer => clearTimeout(timer)), []);
  const put = (key: string, activity: Activity | null) => {
    clearTimeout(timers.current.get(key));
    timers.current.delete(key);
    setAll(before => {
      const { [key]: _, ...rest } = before;
      return activity ? { ...rest, [key]: activity } : rest;
    });
  };
  const end = (key: string, after: number) => timers.current.set(key, setTimeout(() => put(key, null), after));
  return {
    of: key => all[key],
    put,
    flash: (key, word) => {
      put(key, { word });
      end(key, FLASH);
    },
    run: (key, word, act, then) => {
      if (now.current[key]?.busy) return;
      put(key, { word, busy: true });
      changed.current.delete(key);
      act().then(
        answer => {
          if (then) return put(key, then(answer));
          if (changed.current.has(key)) put(key, null);
          else end(key, SETTLE);
        },
        reason => put(key, { failure: asFailure(reason) }),
      );
    },
    settle: key => {
      if (!now.current[key]?.busy) return;
      if (timers.current.has(key)) put(key, null);
      else changed.current.add(key);
    },
  };
}
