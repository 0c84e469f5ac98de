/** What the sidebar may ask of the front end around it. What is missing is absent from its menus. */
import type { Form } from '../../protocol';

export interface Shell {
  /** Opens a form in the main area. `given` are values that are there from the start, as if they had been typed. */
  openForm?: (form: Form['form'], start: { workspace?: string; given?: Record<string, unknown> }) => void;
  /**
   * Begins a drag with these data by MIME type; Lumino's drags look like this. `image` is what moves with the pointer.
   * Without it a row is dragged as HTML5 has it, with the same data as text.
   */
  startDrag?: (at: { clientX: number; clientY: number }, data: Record<string, unknown>, image: HTMLElement) => void;
}

/** What the sidebar remembers: which groups and sections were opened or closed by hand, by their keys. */
export interface Memory {
  open: Record<string, boolean>;
  save: (open: Record<string, boolean>) => void;
}

/** MIME type of cells in JupyterLab: a notebook inserts what is dropped with it. */
export const CELLS = 'application/vnd.jupyter.cells';

/** What a drag carries: the code as text for editors, as a cell for notebooks. */
export function dragData(text: string): Record<string, unknown> {
  return { 'text/plain': text, [CELLS]: [{ cell_type: 'code', source: text, metadata: {}, outputs: [], execution_count: null }] };
}
