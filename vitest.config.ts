import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "study/**/*.test.ts"],
    // Two workers keep the two threads of ONNX Runtime's tests from being starved on a small machine.
    maxWorkers: 2,
    globalSetup: "scripts/runtime.mjs",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Texts are compared without colours, wherever the tests run; nothing is kept in the cache of whoever runs them.
    env: { FORCE_COLOR: "0", TOKENWISE_CACHE: "off" },
  },
});
