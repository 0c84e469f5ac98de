import { useEffect, useReducer, useRef } from 'preact/hooks';
import type { Overview, ServiceChange } from './overview';

/** Draws the component again whenever something changes. The number grows with every change. */
export function useOverview(overview: Overview, onChanges?: (changes: ServiceChange[]) => void): number {
  const [version, grow] = useReducer((before: number, _: void) => before + 1, 0);
  const handler = useRef(onChanges);
  handler.current = onChanges;
  useEffect(
    () =>
      overview.listen(changes => {
        handler.current?.(changes);
        grow();
      }),
    [overview],
  );
  return version;
}
