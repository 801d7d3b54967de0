import { z } from "zod";
import { UserError } from "../errors.ts";
import { scale, stopGradient, subtract } from "../graph/ops/elementwise.ts";
import { sum } from "../graph/ops/reduce.ts";
import type { Tensor } from "../graph/tensor.ts";
import type { Answer, Context, Needs, Objective, Term } from "./objective.ts";

type Shape = z.core.$ZodLooseShape;
type Options<S extends Shape> = z.output<z.ZodObject<S>>;
type SchemaOf<Name extends string, S extends Shape> = z.ZodObject<{ name: z.ZodLiteral<Name> } & S, z.core.$strict>;

/**
 * An objective before its options are chosen: all that the recipe, the command line and the docs
 * say of it.
 */
export interface ObjectiveDefinition<Name extends string = string, S extends Shape = Shape> extends Facts {
  readonly name: Name;
  /** One line on what it does and what its options mean. */
  readonly summary: string;
  readonly responses: 1 | 2;
  /** Its settings in a recipe, `name` included. */
  readonly schema: SchemaOf<Name, S>;
  /** The settings that a proposed recipe shows, with their defaults. */
  readonly proposed: Readonly<Record<string, string | number>>;
  /** @throws UserError for an option that is unknown or out of its range. */
  create(options?: z.input<z.ZodObject<S>>): Objective;
}

/** What the pages and `tokenwise methods` say of an objective besides. */
interface Facts {
  readonly paper?: { readonly by: string; readonly arXiv: string } | undefined;
  /** The loss of an example, in the signs of docs/methods.md. */
  readonly formula?: string | undefined;
  /** What the loss was compared with. */
  readonly checked?: string | undefined;
}

interface Description<Name extends string, S extends Shape> extends Facts {
  readonly name: Name;
  readonly summary: string;
  readonly options: S;
  /** The options that a proposed recipe shows; all by default. */
  readonly shown?: readonly (keyof S & string)[];
}

/** What differs from the usual needs, which are the maker's. May depend on the options. */
type NeedsOf<S extends Shape> = Partial<Needs> | ((options: Options<S>) => Partial<Needs>);

interface Formula<S extends Shape, Answers extends readonly Answer[]> {
  readonly needs?: NeedsOf<S>;
  /** The loss of each example, [examples]. */
  loss(options: Options<S>, ...of: [...Answers, Context]): Tensor;
  /** The implicit reward of an answer, [examples]. */
  reward?(options: Options<S>, answer: Answer): Tensor;
  /** Numbers that live from step to step. May depend on the options, which may leave it out. */
  readonly state?: State<S, Answers> | ((options: Options<S>) => State<S, Answers> | undefined);
}

interface State<S extends Shape, Answers extends readonly Answer[]> {
  readonly initial: Readonly<Record<string, number>>;
  /** The numbers of a step, from those before and the step's examples. */
  update(options: Options<S>, ...of: [...Answers, Context]): Readonly<Record<string, Tensor>>;
}

/**
 * A loss over pairs of a chosen and a rejected answer; its mean is over the pairs. It has a
 * reference unless it says otherwise.
 */
export function pairObjective<const Name extends string, S extends Shape>(
  definition: Description<Name, S> & Formula<S, [chosen: Answer, rejected: Answer]>,
): ObjectiveDefinition<Name, S> {
  return defineObjective(definition, 2, (options) => ({
    ...objectiveOf<S, [Answer, Answer]>(definition, options, "loss", pairOf),
    responses: 2,
    terms: [{ weight: 1, mean: "examples", responses: [0, 1] }],
  }));
}

/** A loss over single answers. It has no reference unless it says otherwise. */
export function singleObjective<const Name extends string, S extends Shape>(
  definition: Description<Name, S> &
    Formula<S, [answer: Answer]> & {
      /** What the step's loss is a mean over; examples by default. */
      mean?(options: Options<S>): Term["mean"];
    },
): ObjectiveDefinition<Name, S> {
  return defineObjective(definition, 1, (options) => ({
    ...objectiveOf<S, [Answer]>(definition, options, "none", ([answer]) => [answer!]),
    responses: 1,
    terms: [{ weight: 1, mean: definition.mean?.(options) ?? "examples", responses: [0] }],
  }));
}

/** An objective that `create` makes of options, whatever it is made of. */
export function defineObjective<const Name extends string, S extends Shape>(
  { name, summary, paper, formula, checked, options, shown = Object.keys(options) }: Description<Name, S>,
  responses: 1 | 2,
  create: (options: Options<S>) => Objective,
): ObjectiveDefinition<Name, S> {
  const own = z.strictObject(options);
  const defaults = own.safeParse({});
  const proposed = shown.map((key) => [key, (defaults.data as Record<string, string | number> | undefined)?.[key]]);
  return {
    ...{ name, summary, paper, formula, checked, responses },
    schema: z.strictObject({ name: z.literal(name), ...options }) as unknown as SchemaOf<Name, S>,
    proposed: Object.fromEntries([["name", name], ...proposed]),
    create(given) {
      const parsed = own.safeParse(given ?? {});
      if (parsed.success) return create(parsed.data as Options<S>);
      const [issue] = parsed.error.issues;
      throw new UserError(issue!.message, { field: [name, ...issue!.path].join(".") });
    },
  };
}

function objectiveOf<S extends Shape, Answers extends readonly Answer[]>(
  { name, needs = {}, loss, reward, state: declared }: { readonly name: string } & Formula<S, Answers>,
  options: Options<S>,
  reference: Needs["reference"],
  arity: (answers: readonly Answer[]) => Answers,
): Omit<Objective, "responses" | "terms"> {
  const { beta } = options as { beta?: unknown };
  const state = typeof declared === "function" ? declared(options) : declared;
  return {
    name,
    ...usualNeeds,
    reference,
    ...(state && { scope: "step" }),
    ...(typeof needs === "function" ? needs(options) : needs),
    losses: (answers, context) => [loss(options, ...arity(answers), context)],
    ...(reward && { rewards: (answers) => answers.map((answer) => reward(options, answer)) }),
    ...(typeof beta === "number" && { plainRewards: (answers) => answers.map((answer) => plainReward(answer, beta)) }),
    initialState: state?.initial ?? {},
    ...(state && {
      updateState: (answers, before) =>
        Object.fromEntries(
          Object.entries(state.update(options, ...arity(answers), before)).map(([key, value]) => [
            key,
            stopGradient(value),
          ]),
        ),
    }),
  };
}

const usualNeeds = { statistics: {}, given: {}, weights: "possible", random: false, scope: "example" } as const;

function pairOf([chosen, rejected]: readonly Answer[]): [Answer, Answer] {
  return [chosen!, rejected!];
}

/** β Σρ over all tokens, whatever weights they have. */
function plainReward({ policyLogp, referenceLogp }: Answer, beta: number): Tensor {
  return scale(subtract(sum(policyLogp, [1]), sum(referenceLogp!, [1])), beta);
}
