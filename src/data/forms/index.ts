import type { Form } from "./form.ts";
import { pairs } from "./pairs.ts";
import { text } from "./text.ts";

/** The forms of training data, the default first. */
export const forms = [pairs, text] as const satisfies readonly Form[];

type AnyForm = (typeof forms)[number];

export type FormName = AnyForm["name"];

/** A column that can have another name, of any form. */
export type ColumnName = AnyForm extends infer Each ? (Each extends { columns: infer C } ? keyof C : never) : never;

export function formNamed(name: FormName): Form {
  return forms.find((form) => form.name === name)!;
}

/** The content of each column of any form, in words. */
export function columnsOfForms(): Readonly<Record<ColumnName, string>> {
  return Object.assign({}, ...forms.map(({ columns }) => columns));
}
