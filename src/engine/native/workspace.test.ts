import { describe, expect, test } from "vitest";
import { blockSize, Workspace } from "./workspace.ts";

describe("blocks", () => {
  test("hold what is asked for and at most an eighth more", () => {
    const sizes = Array.from({ length: 400 }, (_, index) => Math.floor(1.05 ** index) + index).filter((n) => n < 1e8);
    for (const bytes of [0, 1, 255, 256, 257, 1023, 1024, 1025, 2 ** 26 - 1, 2 ** 26, 2 ** 26 + 1, ...sizes]) {
      const { byteLength } = new Workspace().take(bytes);
      expect(byteLength).toBeGreaterThanOrEqual(bytes);
      expect(byteLength).toBeLessThanOrEqual(Math.max(256, bytes + Math.max(64, bytes / 8)));
    }
  });

  test("are reused for what fills at least half of them, the smallest first", () => {
    const workspace = new Workspace();
    const block = workspace.take(10_000);
    workspace.give(block);
    expect(workspace.take(4_000)).not.toBe(block);
    expect(workspace.take(30_000)).not.toBe(block);
    expect(workspace.take(block.byteLength)).toBe(block);
    expect(workspace.take(block.byteLength)).not.toBe(block);
    const smaller = workspace.take(8_000);
    workspace.give(block);
    workspace.give(smaller);
    expect(workspace.take(6_000)).toBe(smaller);
    expect(workspace.take(6_000)).toBe(block);
  });

  test("do not pile up for ever different sizes", () => {
    const workspace = new Workspace();
    const blocks = new Set<ArrayBuffer>();
    for (let round = 0; round < 1000; round++) {
      const block = workspace.take(10_000 + ((round * 7919) % 10_000));
      blocks.add(block);
      workspace.give(block);
    }
    expect([...blocks].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(10 * 20_000);
  });

  test("are never held twice", () => {
    const workspace = new Workspace();
    const held = new Set<ArrayBuffer>();
    for (let round = 0; round < 500; round++) {
      const block = workspace.take((round * 37) % 900);
      expect(held).not.toContain(block);
      held.add(block);
      if (round % 3 === 0) {
        const [first] = held;
        held.delete(first!);
        workspace.give(first!);
      }
    }
  });

  test("are forgotten when the workspace is cleared", () => {
    const workspace = new Workspace();
    const [free, held] = [workspace.take(100), workspace.take(100)];
    workspace.give(free);
    workspace.clear();
    expect(workspace.take(100)).not.toBe(free);
    workspace.give(held);
    expect(workspace.take(100)).toBe(held);
  });
});

test("held bytes are those taken and not given back", () => {
  const workspace = new Workspace();
  expect(workspace.heldBytes).toBe(0);
  const [small, large] = [workspace.take(1), workspace.take(1_000_000)];
  expect(workspace.heldBytes).toBe(small.byteLength + large.byteLength);
  workspace.give(small);
  expect(workspace.heldBytes).toBe(large.byteLength);
  workspace.take(1);
  workspace.give(large);
  expect(workspace.heldBytes).toBe(small.byteLength);
});

test("what is given twice, or comes from elsewhere, is refused", () => {
  const workspace = new Workspace();
  const block = workspace.take(300);
  workspace.give(block);
  expect(() => workspace.give(block)).toThrow("released twice");
  expect(() => workspace.give(new ArrayBuffer(256))).toThrow("did not come from this engine");
  expect(() => workspace.give(new Workspace().take(300))).toThrow("did not come from this engine");
  expect(workspace.heldBytes).toBe(0);
  expect(workspace.take(300)).not.toBe(workspace.take(300));
});

test("a block that grows takes the place of the one that it outgrows", () => {
  const workspace = new Workspace();
  const sizes = [1000, 1200, 1500, 1900].map((count) => count * 1000);
  let last: ArrayBuffer | undefined;
  for (const size of sizes) {
    last = workspace.take(size);
    workspace.give(last);
  }
  // Only the last one is left: a second block of any of these sizes is new.
  expect(workspace.take(sizes[0]!)).toBe(last);
  const other = workspace.take(sizes[0]!);
  expect(other.byteLength).toBe(blockSize(sizes[0]!));
});
