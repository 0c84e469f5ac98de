/** Reads server-sent events, as the HTML standard defines them, from the body of a response. */

/** The data of each event as JSON; null for a comment, by which the server says that it is still there. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<unknown> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      let start = 0;
      for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n', start)) {
        yield parseEvent(rest.slice(start, end));
        start = end + 2;
      }
      rest = rest.slice(start);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseEvent(block: string): unknown {
  const data = block.split('\n').filter(line => line.startsWith('data:')).map(line => line.slice(5).replace(/^ /, ''));
  return data.length ? JSON.parse(data.join('\n')) : null;
}
