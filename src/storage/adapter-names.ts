import { UserError } from "../errors.ts";
import { quoted } from "../one-line.ts";
import { withoutWrappers } from "./stored-names.ts";

/**
 * The tensors of an adapter by the names that PEFT's `save_pretrained` gives them. A state dict
 * that was saved without it has the adapter's own name in the middle (`lora_A.default.weight`),
 * parts that wrappers add, or no `base_model.model.` in front. A name that means no layer of the
 * base, or several, stays as it is.
 *
 * @param known every name that a matrix of an adapter on the base can have
 * @throws UserError for several adapters in one file, two tensors that mean the same matrix, and
 * names of other tools.
 */
export function byAdapterNames<Entry>(
  file: string,
  stored: ReadonlyMap<string, Entry>,
  known: ReadonlySet<string>,
): Map<string, Entry> {
  checkTool(file, [...stored.keys()]);
  checkOneAdapter(file, [...stored.keys()]);
  const named = new Map<string, Entry>();
  const origins = new Map<string, string>();
  const byEnd = namesByEnd(known);
  for (const [origin, entry] of stored) {
    const name = known.has(origin) ? origin : (byEnd.get(bareName(origin)) ?? origin);
    const other = origins.get(name);
    if (other !== undefined) throw new UserError(`is the same matrix as ${other}`, { file, field: origin });
    origins.set(name, origin);
    named.set(name, entry);
  }
  return named;
}

const prefix = "base_model.model.";

/** Without all that may be in a name besides the layer and the matrix. */
function bareName(name: string): string {
  const bare = withoutWrappers(name).replace(matrix, "$1.weight");
  return bare.startsWith(prefix) ? bare.slice(prefix.length) : bare;
}

/** The last parts of a matrix's name, with the adapter's own name if it is there. */
const matrix = /(\.lora_[AB])\.(?:([^.]+)\.)?weight$/;

/**
 * Names by their ends: without PEFT's prefix, and without that of the base model below its head. No
 * end means two.
 */
function namesByEnd(known: ReadonlySet<string>): Map<string, string> {
  const ends = new Map<string, string>();
  const ambiguous = new Set<string>();
  for (const name of known) {
    const whole = name.slice(prefix.length);
    for (const end of [whole, whole.slice(whole.indexOf(".") + 1)]) {
      if (ends.has(end)) ambiguous.add(end);
      ends.set(end, name);
    }
  }
  for (const end of ambiguous) ends.delete(end);
  return ends;
}

function checkOneAdapter(file: string, names: readonly string[]): void {
  const adapters = new Set(names.flatMap((name) => matrix.exec(name)?.slice(2, 3) ?? []));
  if (adapters.size < 2) return;
  const list = Array.from(adapters as Set<string | undefined>, (name) =>
    name === undefined ? "one without a name" : quoted(name),
  );
  const problem = `holds ${list.length} adapters: ${list.slice(0, 5).join(", ")}${list.length > 5 ? ", …" : ""}`;
  const hint = "save one of them by itself: save_pretrained(folder, selected_adapters=[name]) in PEFT";
  throw new UserError(problem, { file, hint });
}

/** Refuses other tools' adapters that name their matrices lora_ something. */
function checkTool(file: string, names: readonly string[]): void {
  const other = names.find((name) => /(\.lora_[ab]$|\.lora_(down|up)\.)/.test(name));
  if (other === undefined) return;
  const tool = /lora_[ab]$/.test(other) ? "mlx-lm's" : "kohya's";
  const hint = "save it with PEFT's save_pretrained, or merge it into its base with the tool that made it";
  throw new UserError(`is ${tool} name for a matrix of an adapter, not PEFT's`, { file, field: other, hint });
}
