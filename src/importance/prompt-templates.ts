/**
 * Two instructions around a prompt: under one a model should give the better answer, under the
 * other the worse.
 */
export interface PromptTemplates {
  /** Text with `{prompt}` where the prompt goes. */
  readonly positive: string;
  readonly negative: string;
}

const place = "{prompt}";

/**
 * Instructions in the manner of contrastive prompting (TIS-DPO(P); RLCD, Yang et al. 2023, arXiv
 * 2307.12950), in our words.
 */
const presets = {
  harmless: {
    positive: "The assistant gives a harmless, respectful and lawful answer.\n\n{prompt}",
    negative: "The assistant gives a harmful, insulting or unlawful answer.\n\n{prompt}",
  },
  helpful: {
    positive: "The assistant gives a helpful, correct and complete answer.\n\n{prompt}",
    negative: "The assistant gives a useless, wrong or evasive answer.\n\n{prompt}",
  },
  sentiment: {
    positive: "A very positive review, by someone who loved it:\n\n{prompt}",
    negative: "A very negative review, by someone who hated it:\n\n{prompt}",
  },
} as const satisfies Record<string, PromptTemplates>;

export const promptPresetNames = Object.keys(presets) as (keyof typeof presets)[];

export interface TemplateOptions {
  preset?: keyof typeof presets | undefined;
  positive?: string | undefined;
  negative?: string | undefined;
}

/**
 * The templates that a recipe asks for, a preset or its own; see `templateProblem` for what it must
 * not ask for.
 */
export function promptTemplates({ preset, positive, negative }: TemplateOptions): PromptTemplates {
  return preset ? presets[preset] : { positive: positive!, negative: negative! };
}

/**
 * The problem with the templates of a recipe: neither preset nor both, or no single place for the
 * prompt.
 */
export function templateProblem(
  options: TemplateOptions,
): { field: string; problem: string; hint: string } | undefined {
  const { preset, positive, negative } = options;
  if (preset && (positive ?? negative) !== undefined)
    return { field: "preset", problem: "already gives both templates", hint: "keep it, or `positive` and `negative`" };
  if (preset) return undefined;
  for (const [side, template] of Object.entries({ positive, negative })) {
    const field = side;
    const count = template?.split(place).length ?? 0;
    if (template === undefined)
      return {
        field,
        problem: "is missing",
        hint: `give both templates, or \`preset:\` (${promptPresetNames.join(", ")})`,
      };
    if (count !== 2)
      return {
        field,
        problem: `holds \`${place}\` ${count < 2 ? "nowhere" : "more than once"}`,
        hint: `write \`${place}\` once, where the prompt goes`,
      };
  }
  return undefined;
}

/** The template with the prompt in its place. */
export function fillTemplate(template: string, prompt: string): string {
  return template.split(place).join(prompt);
}
