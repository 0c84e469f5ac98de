import type * as preact from 'preact';
/** Colours for short samples. A token that is not known is plain text, never markup. */
const C_LIKE = /()("""[^]*?"""|\$?@?"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`)|(\b\d[\d._eE]*)|\b(const|let|var|using|new|await|async|if|throw|return|import|from|function|static|string|null|true|false)\b/g;
const LANGUAGES: Record<string, RegExp> = {
  json: /("(?:[^"\\]|\\.)*"(?=\s*:))|("(?:[^"\\]|\\.)*")|(-?\b\d[\d.eE+-]*)|\b(true|false|null)\b/g,
  python: /()((?:\b[fbr]{1,2})?(?:"""[^]*?"""|'''[^]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))|(\b\d[\d._eE]*)|\b(import|from|as|def|return|if|else|for|in|with|not|and|or|None|True|False|class|raise|try|except|open)\b/g,
  javascript: C_LIKE,
  csharp: C_LIKE,
  curl: /()("(?:[^"\\]|\\.)*"|'[^']*')|()|(?<=^|\n)(curl)\b/g,
};
const CLASSES = ['', 'p', 's', 'n', 'k'];

export function Highlighted({ text, language }: { text: string; language: string }) {
  const pattern = LANGUAGES[language];
  if (!pattern || text.length > 50_000) return <>{text}</>;
  const parts: (string | preact.JSX.Element)[] = [];
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    const group = [1, 2, 3, 4].find(one => match[one]);
    if (!group || !match[0]) continue;
    parts.push(text.slice(at, match.index), <span class={CLASSES[group]}>{match[0]}</span>);
    at = match.index + match[0].length;
  }
  return <>{[...parts, text.slice(at)]}</>;
}
