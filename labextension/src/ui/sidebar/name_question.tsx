import { useState } from 'preact/hooks';
import { Confirm } from '../parts';
import { useId } from '../port_context';
import type { Words } from './words';

export interface NameQuestionProps {
  name: string;
  question: string;
  yes: string;
  words: Words;
  onYes: (typed: string) => void;
  onNo: () => void;
}

/** Deleting wants the name typed. The focus is in its field, and Escape keeps. */
export function NameQuestion({ name, question, yes, words, onYes, onNo }: NameQuestionProps) {
  const id = useId();
  const [typed, setTyped] = useState('');
  const fits = typed.trim() === name;
  const answer = () => fits && onYes(name);
  return (
    <Confirm danger label={yes} question={<label for={id}>{question}</label>} yes={yes} no={words.keep} ready={fits} onYes={answer} onNo={onNo}>
      <input
        class="mld-Input"
        id={id}
        autocomplete="off"
        spellcheck={false}
        value={typed}
        onInput={event => setTyped(event.currentTarget.value)}
        onKeyDown={event => event.key === 'Enter' && answer()}
      />
    </Confirm>
  );
}
