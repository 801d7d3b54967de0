/**
 * Models in other forms than ours: recognised by the names of their files, never opened, and
 * answered with what to do.
 */
import { basename } from "node:path";
import { UserError } from "../errors.ts";

interface Kind {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly hint: string;
}

const pickle = "its weights are a pickle of PyTorch, which can run code and is not read";
const original = "use the model that it was made from, as safetensors";

/** The first kind that a file belongs to counts. */
const kinds: readonly Kind[] = [
  {
    pattern: /^(\d+_)?adapters\.(safetensors|npz)$/,
    problem: "is an adapter of mlx-lm, which has another layout than PEFT's",
    hint: "merge it into its base: mlx_lm.fuse --model <base> --adapter-path <this folder> --save-path <new folder>",
  },
  { pattern: /\.gguf$/i, problem: "its weights are in llama.cpp's format, GGUF, which is not read", hint: original },
  {
    pattern: /^adapter_model.*\.bin$/,
    problem: pickle,
    hint: "convert it: load it in PEFT, and save_pretrained(folder, safe_serialization=True)",
  },
  {
    pattern: /\.(bin|pt|pth|ckpt|pkl)(\.index\.json)?$/,
    problem: pickle,
    hint: "convert it: save_pretrained(folder, safe_serialization=True) in transformers",
  },
  {
    pattern: /^consolidated.*\.safetensors$/,
    problem: "its weights have the names of Mistral's own tools, which are not read",
    hint: "use the model in the layout of transformers, from the same page of the Hub",
  },
  {
    pattern: /\.safetensors$/,
    problem: "holds no model.safetensors",
    hint: "rename its file of weights to model.safetensors if it is whole, or download the model again",
  },
  {
    pattern: /\.(npz|msgpack|h5|onnx|tflite|mlmodel)$/,
    problem: "its weights are in the format of another library, which is not read",
    hint: original,
  },
];

/** Weights as we read them: whatever such a folder lacks, it is not these. */
const ours = /^(model(-\d{5}-of-\d{5})?|adapter_model)\.safetensors$/;

/** Files that stand beside weights without being any. */
const beside = /^(training_args|optimizer|scheduler|scaler|rng_state.*|preprocessor.*)\.(bin|pt|pth|pkl)$/;

/** Whether a folder holds weights in another form. */
export function holdsForeignFile(names: readonly string[]): boolean {
  return names.some((name) => kindOf(name) !== undefined);
}

function kindOf(name: string): Kind | undefined {
  return ours.test(name) || beside.test(name) ? undefined : kinds.find(({ pattern }) => pattern.test(name));
}

/** The first bytes of files that are no safetensors, whatever their names. */
const beginnings: readonly (readonly [bytes: string, problem: string, hint: string])[] = [
  ["version ", "is a Git LFS pointer, not the weights", "run `git lfs pull`"],
  ["<", "is a web page, not the weights", "download the file itself"],
  ["PK\x03\x04", pickle.replace("its weights are", "is"), "convert it, renaming is not enough"],
  ["\x80\x02", pickle.replace("its weights are", "is"), "convert it, renaming is not enough"],
  ["GGUF", "is in llama.cpp's format, GGUF, which is not read", original],
];

/**
 * The error for a file that is named .safetensors and is none, by its first eight bytes; undefined
 * if they are unknown.
 */
export function explainBeginning(file: string, start: string): UserError | undefined {
  const found = beginnings.find(([bytes]) => start.startsWith(bytes));
  return found && new UserError(found[1], { file, hint: found[2] });
}

/**
 * The error for a folder without the files that are wanted: what its files are instead, if that is
 * known.
 *
 * @param missing what to say otherwise
 */
export function explainFolder(path: string, names: readonly string[], missing: string): UserError {
  for (const kind of kinds) {
    const found = names.find((name) => kindOf(name) === kind);
    if (found !== undefined) return new UserError(`${kind.problem} (${found})`, { file: path, hint: kind.hint });
  }
  return new UserError(missing, { file: path });
}

/** The error for a file in place of a folder. */
export function explainFile(path: string): UserError {
  const name = basename(path);
  const kind = kindOf(name);
  if (!kind || name.endsWith(".safetensors")) {
    return new UserError("is a file, not a folder", { file: path, hint: "give the folder that it lies in" });
  }
  return new UserError(`is a file, not a model folder; ${kind.problem}`, { file: path, hint: kind.hint });
}
