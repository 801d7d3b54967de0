import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { temporaryFolder } from "../../test/helpers/runs.ts";
import { vocabularyDifference } from "./vocabulary.ts";

let root: string;
beforeEach(async () => {
  root = await temporaryFolder();
});

/** A folder with a tokenizer. */
async function folderOf(name: string, model: object, added: object[] = []): Promise<string> {
  const path = join(root, name);
  await mkdir(path);
  await writeFile(join(path, "tokenizer.json"), JSON.stringify({ model, added_tokens: added }));
  return path;
}

const bpe = (...pieces: string[]) => ({
  type: "BPE",
  vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
});
const unigram = (...pieces: string[]) => ({ type: "Unigram", vocab: pieces.map((piece) => [piece, -1]) });
const special = (id: number, content: string) => ({ id, content, special: true });

test.each<[string, [object, object[]?], [object, object[]?], string | undefined]>([
  ["the same", [bpe("a", "b")], [bpe("a", "b")], undefined],
  ["other merges", [{ ...bpe("a", "ab"), merges: ["a b"] }], [{ ...bpe("a", "ab"), merges: [] }], undefined],
  ["another type", [bpe("a", "b")], [unigram("a", "b")], undefined],
  ["more tokens there", [bpe("a")], [bpe("a", "b")], undefined],
  ["fewer tokens there", [bpe("a", "b")], [bpe("a")], undefined],
  ["other pieces", [bpe("a", "b")], [bpe("b", "a")], 'its token 0 is "b", not "a"'],
  ["other pieces of a list", [unigram("a", "b")], [unigram("a", "c")], 'its token 1 is "c", not "b"'],
  ["an added token of another name", [bpe("a"), [special(1, "<pad>")]], [bpe("a"), [special(1, "<user>")]], undefined],
  ["an added token that is there already", [bpe("a", "<s>")], [bpe("a"), [special(1, "<s>")]], undefined],
  [
    "an added token in place of a piece",
    [bpe("a", "b")],
    [bpe("a"), [special(1, "<s>")]],
    'its token 1 is "<s>", not "b"',
  ],
  [
    "a piece in place of an added token",
    [bpe("a"), [special(1, "<s>")]],
    [bpe("a", "b")],
    'its token 1 is "b", not "<s>"',
  ],
])("%s", async (_, [own, ownAdded], [other, otherAdded], expected) => {
  const folders = [await folderOf("own", own, ownAdded), await folderOf("other", other, otherAdded)] as const;
  expect(await vocabularyDifference(...folders)).toBe(expected);
});

test("a folder without a tokenizer says nothing", async () => {
  const path = await folderOf("own", bpe("a"));
  expect(await vocabularyDifference(path, root)).toBeUndefined();
  expect(await vocabularyDifference(root, path)).toBeUndefined();
});

test("a tokenizer without a vocabulary is an error", async () => {
  const [own, other] = [await folderOf("own", bpe("a")), await folderOf("other", {})];
  await expect(vocabularyDifference(own, other)).rejects.toThrow(/tokenizer\.json: model\.vocab: holds no vocabulary/);
});
