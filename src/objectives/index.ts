import { z } from "zod";
import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { alphapo } from "./alphapo.ts";
import { aot } from "./aot.ts";
import { apoDown, apoZero } from "./apo.ts";
import { bcoPair } from "./bco.ts";
import { betaDpo } from "./beta-dpo.ts";
import { bpo } from "./bpo.ts";
import { calDpo } from "./cal-dpo.ts";
import { cpo } from "./cpo.ts";
import type { ObjectiveDefinition } from "./define.ts";
import { discopop } from "./discopop.ts";
import { dpo } from "./dpo.ts";
import { dpop } from "./dpop.ts";
import { exo } from "./exo.ts";
import { fDpo } from "./f-dpo.ts";
import { hinge } from "./hinge.ts";
import { ipo } from "./ipo.ts";
import { mpo } from "./mpo.ts";
import { nca } from "./nca.ts";
import type { Objective } from "./objective.ts";
import { orpo } from "./orpo.ts";
import { rDpo } from "./r-dpo.ts";
import { robustDpo } from "./robust-dpo.ts";
import { rpo } from "./rpo.ts";
import { sft } from "./sft.ts";
import { simper } from "./simper.ts";
import { simpo } from "./simpo.ts";
import { slic } from "./slic.ts";
import { sppo } from "./sppo.ts";
import { tdpo1, tdpo2 } from "./tdpo.ts";
import { tisDpo } from "./tis-dpo.ts";
import { fromTrl } from "./trl.ts";

/** Every objective that a recipe can name, in the order in which they are offered. */
export const objectives = [
  sft,
  // pairs with a reference
  dpo,
  ipo,
  hinge,
  robustDpo,
  rDpo,
  dpop,
  calDpo,
  exo,
  nca,
  sppo,
  apoZero,
  apoDown,
  bcoPair,
  bpo,
  fDpo,
  discopop,
  aot,
  betaDpo,
  // with the divergence or a weight of each token
  tdpo1,
  tdpo2,
  tisDpo,
  // pairs without a reference
  slic,
  simpo,
  alphapo,
  simper,
  cpo,
  orpo,
  // mixes
  rpo,
  mpo,
] as const;

type Definitions = typeof objectives;
type SchemasOf<Tuple extends readonly { schema: unknown }[]> = {
  -readonly [Index in keyof Tuple]: Tuple[Index]["schema"];
};
export type ObjectiveName = Definitions[number]["name"];

/** The settings of an objective in a recipe, told apart by `name`. */
export const objectiveSchema = z.discriminatedUnion(
  "name",
  objectives.map(({ schema }) => schema) as unknown as SchemasOf<Definitions>,
);

/** The settings of an objective; what has a default may be missing. */
export type ObjectiveOptions = z.input<typeof objectiveSchema>;

/**
 * The definition that a recipe means by a name.
 *
 * @throws UserError for a name that is not in the list.
 */
export function objectiveNamed(name: ObjectiveName): ObjectiveDefinition {
  return findObjective(name, "objective.name");
}

/**
 * The definition with a name that a user gave.
 *
 * @param field where the name stands
 * @throws UserError for a name that is not in the list; it tells those of TRL what to say instead.
 */
export function findObjective(name: string, field: string): ObjectiveDefinition {
  const found = objectives.find((definition) => definition.name === name);
  if (found) return found as unknown as ObjectiveDefinition;
  const names = objectives.map((definition) => definition.name);
  const here = fromTrl(name, names);
  throw new UserError(`must be one of ${names.join(", ")}, found ${quoted(name)}`, {
    field,
    ...(here && { hint: `TRL's \`${name}\` is \`${here}\`` }),
  });
}

/**
 * Makes the objective that the settings name.
 *
 * @throws UserError for a name that is not in the list, or an option that is unknown or out of its
 * range.
 */
export function createObjective({ name, ...options }: ObjectiveOptions): Objective {
  return objectiveNamed(name).create(options);
}

/** The objectives that compare answers. */
export const pairObjectives = objectives.filter(({ responses }) => responses === 2);

/** The options of pair objectives that are numbers, each once. */
export const numberOptions: readonly string[] = [
  ...new Set(
    pairObjectives.flatMap(({ schema }) =>
      Object.entries<z.core.$ZodType>(schema.shape).flatMap(([name, option]) => (isNumber(option) ? [name] : [])),
    ),
  ),
];

function isNumber(option: z.core.$ZodType): boolean {
  return (option instanceof z.ZodDefault ? option.unwrap() : option) instanceof z.ZodNumber;
}
