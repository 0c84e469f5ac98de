import { defineConfig } from 'vitest/config';

const HANG = 60_000; // milliseconds after which a test hangs: a busy machine takes ten times as long as a quiet one

export default defineConfig({
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/testing/setup.ts'],
    restoreMocks: true,
    testTimeout: HANG,
    hookTimeout: HANG,
  },
});
