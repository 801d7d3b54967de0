import { InvalidTokenizer, type JsonObject, listOf, objectOf } from "./definition.ts";

/**
 * The ids of the tokens that a post-processor puts in front of a text.
 *
 * It is read from the definition: a text to try it with may have no token in the vocabulary.
 *
 * @param processor the `post_processor` of a tokenizer.json
 */
export function leadingTokens(processor: unknown, field = "post_processor"): number[] {
  if (processor === undefined || processor === null) return [];
  const settings = objectOf(processor, field);
  switch (settings.type) {
    case "TemplateProcessing":
      return inTemplate(settings, field);
    case "BertProcessing":
    case "RobertaProcessing":
      return [wholeNumber(listOf(settings.cls, `${field}.cls`)[1], `${field}.cls.1`)];
    case "Sequence":
      // Each works on what the one before it made.
      return listOf(settings.processors, `${field}.processors`)
        .map((each, index) => leadingTokens(each, `${field}.processors.${index}`))
        .reverse()
        .flat();
    default:
      return [];
  }
}

/**
 * The tokens before the text in `single`, such as `[{ SpecialToken: { id: "<s>" } }, { Sequence: {
 * id: "A" } }]`.
 */
function inTemplate(settings: JsonObject, field: string): number[] {
  const ids: number[] = [];
  for (const [index, piece] of listOf(settings.single, `${field}.single`).entries()) {
    const { SpecialToken: special } = objectOf(piece, `${field}.single.${index}`);
    if (special === undefined) break;
    const name = String(objectOf(special, `${field}.single.${index}.SpecialToken`).id);
    const tokens = objectOf(settings.special_tokens, `${field}.special_tokens`);
    const place = `${field}.special_tokens.${name}`;
    const listed = listOf(objectOf(tokens[name], place).ids, `${place}.ids`);
    ids.push(...listed.map((id) => wholeNumber(id, `${place}.ids`)));
  }
  return ids;
}

function wholeNumber(id: unknown, field: string): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0) return id;
  throw new InvalidTokenizer(field, "must be the id of a token");
}
