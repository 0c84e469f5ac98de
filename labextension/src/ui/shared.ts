/**
 * What the panel's module lends to its parts, which are loaded later: one Preact, one set of components.
 *
 * Modules of a part's folder import from here whatever stands outside of it, types excepted: the bundler leaves out this
 * file (`build.mjs`), and `ui/part.tsx` hands it in.
 */
export { Fragment, h } from 'preact';
export { useEffect, useMemo, useRef, useState } from 'preact/hooks';
export { count, duration, elapsed, listed, milliseconds, moment } from './format';
export { icon } from './icons';
export { isArray } from './inline_test/json_text';
export { Awaited, Button, FailureMessage, Message, Pick, Scroll, Segments, tellCutText, withValue } from './parts';
export * from './translation';
export { refOf, useId, useOrder, usePort, useRequest, useTopic } from './port_context';
