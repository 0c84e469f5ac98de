import { configure } from '@testing-library/preact';

configure({ asyncUtilTimeout: 30_000 }); // milliseconds that `waitFor` and `findBy` wait: they only end a hang
