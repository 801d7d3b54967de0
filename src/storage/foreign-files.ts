/**
 * Models in other forms than ours: recognised by the names of their files, never opened, and
 * answered with what to do.
 */
import { basename, dirname } from "node:path";
import { UserError } from "../errors.ts";
import { isModelFolder } from "./model-path.ts";

interface Kind {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly hint: string;
}

const pickle = "its weights are a pickle of PyTorch, which can run code and is not read";
const original = "use the model that it was made from, as safetensors";
const rename = "to model.safetensors if it is whole, or download the model again";

/** The first kind that a file is of counts, and of a folder's files those of the first kind. */
const kinds: readonly Kind[] = [
  {
    pattern: /\.(incomplete|part|partial|crdownload|download|aria2|!qB)$/,
    problem: "its weights have not been downloaded to their end",
    hint: "download the model again",
  },
  {
    pattern: /(model|weights|checkpoint|adapter).*\.(zip|tar|tgz|gz|bz2|xz|zst|7z|rar)$/i,
    problem: "its weights are packed",
    hint: "unpack it",
  },
  {
    pattern: /^(\d+_)?adapters\.(safetensors|npz)$/,
    problem: "is an adapter of mlx-lm, which has another layout than PEFT's",
    hint: "merge it into its base: mlx_lm.fuse --model <base> --adapter-path <this folder> --save-path <new folder>",
  },
  {
    pattern: /^model\.([\w-]+-\d{5}-of-\d{5}\.safetensors|safetensors\.index\.[\w-]+\.json)$/,
    problem: "holds no model.safetensors, but a variant of it in several files",
    hint: "load it in transformers with `variant`, and save it with save_pretrained",
  },
  {
    pattern: /^model\.[\w-]+\.safetensors$/,
    problem: "holds no model.safetensors, but a variant of it",
    hint: `rename that ${rename}`,
  },
  {
    pattern: /^model-\d{5}-of-\d{5}\.safetensors$/,
    problem: "its weights are in several files without their index, model.safetensors.index.json",
    hint: "download the index too, from the same page as the weights",
  },
  {
    pattern: /^consolidated.*\.safetensors$/,
    problem: "its weights have the names of Mistral's own tools, which are not read",
    hint: "use the model in the layout of transformers, from the same page of the Hub",
  },
  {
    pattern: /^diffusion_pytorch_model.*\.safetensors$/,
    problem: "is a part of a diffusion model, not a language model",
    hint: "give a language model",
  },
  {
    pattern: /\.(gguf|ggml)$|^ggml-.*\.bin$/i,
    problem: "its weights are in llama.cpp's format, GGUF, which is not read",
    hint: original,
  },
  {
    pattern: /^adapter_model.*\.bin$/,
    problem: pickle,
    hint: "convert it: load it in PEFT, and save_pretrained(folder, safe_serialization=True)",
  },
  {
    pattern: /^zero_to_fp32\.py$|^global_step\d+$/,
    problem: "is a checkpoint of DeepSpeed, with its weights in parts",
    hint: "join them: python zero_to_fp32.py . <new folder> --safe_serialization",
  },
  {
    pattern: /\.distcp$|^pytorch_model_fsdp(_\d+)?$/,
    problem: "is a checkpoint of FSDP, with its weights in parts",
    hint: "join them: accelerate merge-weights <folder of the parts> <new folder>",
  },
  {
    pattern: /^openvino_/,
    problem: "its weights are in the format of OpenVINO, which is not read",
    hint: original,
  },
  {
    pattern: /^(saved_model\.pb|.*\.ckpt\.(index|meta|data-.*))$/,
    problem: "its weights are in the format of TensorFlow, which is not read",
    hint: original,
  },
  {
    pattern: /\.(bin|pt|pth|ckpt|pkl)(\.index\.json)?$/,
    problem: pickle,
    hint: "convert it: save_pretrained(folder, safe_serialization=True) in transformers",
  },
  {
    pattern: /\.safetensors$/,
    problem: "holds no model.safetensors",
    hint: `rename its file of weights ${rename}`,
  },
  {
    pattern:
      /\.(npz|msgpack|h5|ot|keras|onnx|onnx_data|tflite|task|litertlm|mlmodel|mlmodelc|mlpackage|pte|engine|mnn|nemo|pdparams)(\.index\.json)?$/,
    problem: "its weights are in the format of another library, which is not read",
    hint: original,
  },
  {
    pattern: /^(onnx|openvino|coreml|gguf|mlx)$/i,
    problem: "its weights lie in a folder for another library",
    hint: original,
  },
];

/** Weights as we read them: whatever a folder with these lacks, it is not weights. */
const ours = /^(model|adapter_model)\.safetensors$/;

/** The file of weights as we read them, or one of several, that a folder holds, if any. */
export function ownWeights(names: readonly string[]): string | undefined {
  return names.find((name) => ours.test(name) || /^model-\d{5}-of-\d{5}\.safetensors$/.test(name));
}

/** Files that stand beside weights without being any. */
const beside = /^(training_args|optimizer|scheduler|scaler|rng_state.*|preprocessor.*)\.(bin|pt|pth|pkl)$/;

/** True if a folder holds weights in another form. */
export function holdsForeignFile(names: readonly string[]): boolean {
  return names.some((name) => kindOf(name) !== undefined);
}

function kindOf(name: string): Kind | undefined {
  return ours.test(name) || beside.test(name) ? undefined : kinds.find(({ pattern }) => pattern.test(name));
}

const again = "download the file itself";

/** The first bytes of files that are no safetensors, whatever their names. */
const beginnings: readonly (readonly [bytes: readonly string[], problem: string, hint: string])[] = [
  [["version "], "is a Git LFS pointer, not the weights", "run `git lfs pull`"],
  [["<"], "is a web page, not the weights", again],
  [
    ["PK\x03\x04", "\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"],
    pickle.replace("its weights are", "is"),
    "convert it, renaming is not enough",
  ],
  [["GGUF", "ggml", "lmgg"], "is in llama.cpp's format, GGUF, which is not read", original],
  [["\x89HDF"], "is an HDF5 file of another library, which is not read", original],
  [["\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xfd7zXZ", "7z\xbc\xaf"], "is packed", "unpack it"],
  [["\0\0\0\0\0\0\0\0"], "begins with zeros, as an unfinished download does", "download it again"],
];

/**
 * The error for a file that is named .safetensors and is none, by its first eight bytes; undefined
 * if they are unknown.
 */
export function explainBeginning(file: string, start: string): UserError | undefined {
  const found = beginnings.find(([all]) => all.some((bytes) => start.startsWith(bytes)));
  if (found) return new UserError(found[1], { file, hint: found[2] });
  if (start === "") return new UserError("not a safetensors file: it is empty", { file, hint: again });
  const isText = /^[\t\n\r -~]+$/.test(start);
  return isText
    ? new UserError("not a safetensors file, but a text, perhaps a server's message", { file, hint: again })
    : undefined;
}

/**
 * The error for a folder without the files that are wanted: what its files are instead, if that is
 * known.
 *
 * @param missing what to say otherwise, and `hint` what to do then
 */
export function explainFolder(path: string, names: readonly string[], missing: string, hint?: string): UserError {
  for (const kind of kinds) {
    const found = names.find((name) => kindOf(name) === kind);
    if (found !== undefined) return new UserError(`${kind.problem} (${found})`, { file: path, hint: kind.hint });
  }
  return new UserError(missing, { file: path, ...(hint && { hint }) });
}

/** The error for a file in place of a folder. */
export function explainFile(path: string): UserError {
  const name = basename(path);
  const kind = kindOf(name);
  if (!kind || name.endsWith(".safetensors") || isModelFolder(dirname(path))) {
    return new UserError("is a file, not a folder", {
      file: path,
      hint: `give the folder that it lies in: ${dirname(path)}`,
    });
  }
  return new UserError(`is a file, not a model folder; ${kind.problem}`, { file: path, hint: kind.hint });
}
