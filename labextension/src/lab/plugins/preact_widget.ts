/** A widget of the shell that has a tree of Preact components. */
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { type ComponentChild, render } from 'preact';

/**
 * Draws when it is first attached, and again with `redraw`. It is drawn until it is disposed of: a tab that is moved
 * to another place is detached meanwhile, and keeps what was typed in it.
 */
export class PreactWidget extends Widget {
  readonly #draw: () => ComponentChild;
  #drawn = false;

  constructor(draw: () => ComponentChild) {
    super();
    this.#draw = draw;
    this.node.tabIndex = -1;
  }

  /** Draws again, when it was drawn before. */
  redraw(): void {
    if (this.#drawn && !this.isDisposed) render(this.#draw(), this.node);
  }

  override dispose(): void {
    if (!this.isDisposed) render(null, this.node);
    super.dispose();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (this.#drawn) return;
    this.#drawn = true;
    this.redraw();
  }

  /** Takes the focus, unless something in it has it already: a list for its keys, else the whole. */
  protected override onActivateRequest(message: Message): void {
    super.onActivateRequest(message);
    if (this.node.contains(document.activeElement)) return;
    const row = this.node.querySelector<HTMLElement>('[role=tree] [tabindex="0"]');
    (row ?? this.node).focus({ preventScroll: true });
  }
}
