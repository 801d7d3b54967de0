/** YAML as recipes need it: what could end the process, or is part of no recipe, is refused. */
import {
  CST,
  type Document,
  isCollection,
  Lexer,
  type LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
} from "yaml";

/** Something in a text that makes it no recipe, whatever its keys are. */
export interface YamlProblem {
  readonly problem: string;
  /** The place in the text. */
  readonly offset: number;
}

/** Recipes have six levels. The parser is recursive, and dies where the stack is full. */
const deepestNesting = 40;

/**
 * Words, marks and spaces of a recipe at most. Keys are compared with each other, and the place of
 * each mistake is looked for from the beginning, so that very many take minutes. A list of 5,000
 * files has 30,000 parts.
 */
const mostParts = 40_000;

/**
 * Parses a text, warnings counting as errors.
 *
 * @param lines learns where lines begin
 */
export function parseYaml(text: string, lines?: LineCounter): { document: Document } | YamlProblem {
  const excess = findExcess(text);
  if (excess) {
    for (let start = 0; start <= excess.offset && lines; ) {
      lines.addNewLine(start);
      start = text.indexOf("\n", start) + 1 || text.length + 1;
    }
    return excess;
  }
  const document = parseDocument(text, lines && { lineCounter: lines });
  const [error] = [...document.errors, ...document.warnings];
  if (!error) return findOddity(document) ?? { document };
  const message = error.message.split("\n")[0]!.replace(/ at line .*$/, "");
  return { problem: `not valid YAML: ${message}`, offset: error.pos[0] };
}

/**
 * The place at which a text is too much for the parser, by its tokens alone: of levels in one line
 * and of indentation there must be few, and of tokens not very many.
 */
function findExcess(text: string): YamlProblem | undefined {
  const tooDeep = (offset: number) => ({ problem: "nested too deep", offset });
  let offset = 0;
  let parts = 0;
  let flow = 0;
  let inLine = 0;
  for (const token of new Lexer().lex(text)) {
    switch (CST.tokenType(token)) {
      case "newline":
        inLine = 0;
        break;
      case "flow-map-start":
      case "flow-seq-start":
        flow++;
        break;
      case "flow-map-end":
      case "flow-seq-end":
        flow--;
        break;
      case "seq-item-ind":
      case "explicit-key-ind":
      case "map-value-ind":
        if (flow === 0) inLine++;
        break;
      case "space":
        if (token.length > 10 * deepestNesting) return tooDeep(offset);
    }
    if (flow > deepestNesting || inLine > deepestNesting) return tooDeep(offset);
    if (++parts > mostParts) return { problem: "has more parts than a recipe can have", offset };
    // The lexer's own marks, such as that of a document's start, are no part of the text.
    if (text.startsWith(token, offset)) offset += token.length;
  }
  return undefined;
}

/** The first part of a document that is valid YAML, and cannot be a part of any recipe. */
function findOddity(document: Document): YamlProblem | undefined {
  let found: YamlProblem | undefined;
  const stop = (node: Node, problem: string) => {
    found = { problem, offset: node.range?.[0] ?? 0 };
    return visit.BREAK;
  };
  visit(document, {
    Node(_, node, path) {
      // Each level counts twice, as a group and as a key with its value.
      return path.length > 2 * deepestNesting ? stop(node, "nested too deep") : undefined;
    },
    Alias(_, alias, path) {
      const { source } = alias;
      const target: Node | Scalar | undefined = alias.resolve(document);
      if (!target) return stop(alias, `there is no anchor &${source} before this alias`);
      return path.includes(target) ? stop(alias, `the alias *${source} stands for a group that holds it`) : undefined;
    },
    Pair: (_, { key }) => (isCollection(key) ? stop(key, "a key must be a word, not a list or a group") : undefined),
  });
  return found;
}
