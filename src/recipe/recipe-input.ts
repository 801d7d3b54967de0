// Written by scripts/recipe-reference.ts from schema.ts.

export type InitInput = {
  /** The family of the new model. */
  readonly architecture: "llama";
  /** Numbers of a hidden state. */
  readonly width: number;
  /** Blocks. */
  readonly layers: number;
  /** Attention heads. */
  readonly heads: number;
  /** Heads of keys and values; as many as `heads`. */
  readonly keyValueHeads?: number | undefined;
  /** Numbers of a head; `width / heads`. */
  readonly headWidth?: number | undefined;
  /** Inner numbers of the MLP. */
  readonly feedForwardWidth: number;
  /** Tokens that the model is made for. */
  readonly contextLength: number;
  /** Whether the head is the embedding matrix. Default: `true`. */
  readonly tiedEmbeddings?: boolean | undefined;
  /** Rows of the embedding; the tokenizer's vocabulary. */
  readonly vocabularySize?: number | undefined;
  /** Of the random weights. Default: `0.02`. */
  readonly standardDeviation?: number | undefined;
};

export type ColumnsInput = {
  /** The column with the prompt. */
  readonly prompt?: string | undefined;
  /** The column with the chosen answer. */
  readonly chosen?: string | undefined;
  /** The column with the rejected answer. */
  readonly rejected?: string | undefined;
  /** The column with the messages before the answers. */
  readonly messages?: string | undefined;
  /** The column with the system's message. */
  readonly system?: string | undefined;
  /** The column with the tools that the assistant may call. */
  readonly tools?: string | undefined;
  /** The column with the text. */
  readonly text?: string | undefined;
};

export type DataInput = {
  /** Training data: JSON Lines, JSON or Parquet files; also packed with gzip. */
  readonly train: string | readonly string[];
  /** Held-out data in files of their own, instead of `heldOut`. */
  readonly evaluation?: string | readonly string[] | undefined;
  /** Examples held out of `train`, by prompt: a count, or a share below 1. Default: `0`. */
  readonly heldOut?: number | undefined;
  /** Preference pairs, or plain text for supervised training. Default: `"pairs"`. */
  readonly format?: "pairs" | "text" | undefined;
  /** Other names of columns; by default a column has the name of its key. */
  readonly columns?: ColumnsInput | undefined;
  /**
   * A record that cannot be used ends the run, or is skipped, listed and counted. Default:
   * `"error"`.
   */
  readonly onBadPair?: "error" | "skip" | undefined;
  /**
   * Where both answers begin with the prompt: leave it there with a warning, or take it off both.
   * Default: `"keep"`.
   */
  readonly repeatedPrompt?: "keep" | "strip" | undefined;
  /**
   * The chat template for conversations: the name of one of the model's, or `chatml`, a plain one;
   * by default the model's own. Where it is set, texts become turns, too.
   */
  readonly template?: string | undefined;
  /**
   * Special tokens that a text spells out: tokens with a warning (as transformers), plain text, or
   * an error. Default: `"token"`.
   */
  readonly specialTokens?: "token" | "text" | "error" | undefined;
  /** Read at most so many pairs or texts of `train`, from its beginning. */
  readonly limit?: number | undefined;
  /**
   * Tokens of the prompt and the longer answer together; 512, or less if the model's context is
   * shorter. What is longer is cut and counted: the prompt first, then the ends of the answers.
   */
  readonly maxLength?: number | undefined;
  /** Tokens that a prompt keeps at least when a pair is cut; half of `maxLength`. */
  readonly maxPromptLength?: number | undefined;
  /** Which end of a prompt stays. Default: `"keep_end"`. */
  readonly truncation?: "keep_end" | "keep_start" | undefined;
  /** Join texts and divide them into windows of `maxLength`. Default: `false`. */
  readonly pack?: boolean | undefined;
};

export type ObjectiveInput = 
  | {
      readonly name: "sft";
      /**
       * A mean over all tokens of the step, or over sequences of the sum over tokens. Default:
       * `"tokens"`.
       */
      readonly mean?: "tokens" | "sequences" | undefined;
    }
  | {
      readonly name: "dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0`. */
      readonly labelSmoothing?: number | undefined;
      /**
       * Sums of log-ratios over an answer, or their means: length-normalised DPO. Default: `"sum"`.
       */
      readonly aggregate?: "sum" | "mean" | undefined;
      /** Leave the reference out of the loss, not out of the logged rewards. Default: `false`. */
      readonly referenceFree?: boolean | undefined;
    }
  | {
      readonly name: "ipo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /**
       * Sums of log-ratios over an answer as in the paper, or their means as in TRL. Default:
       * `"sum"`.
       */
      readonly aggregate?: "sum" | "mean" | undefined;
    }
  | {
      readonly name: "hinge";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "robust-dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0.1`. */
      readonly labelSmoothing?: number | undefined;
    }
  | {
      readonly name: "r-dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** What a token more of the chosen answer adds to the margin. Default: `0.01`. */
      readonly alpha?: number | undefined;
    }
  | {
      readonly name: "dpop";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** How much a loss of likelihood of the chosen answer counts. Default: `50`. */
      readonly lambda?: number | undefined;
    }
  | {
      readonly name: "cal-dpo";
      /** The log-ratios are pulled to 1 / (2 beta) and its negative. Default: `0.001`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "exo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The probability that the rejected answer is the better one. Default: `0.001`. */
      readonly labelSmoothing?: number | undefined;
    }
  | {
      readonly name: "nca";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "sppo";
      /** The targets are 1 / (2 beta) and its negative; the authors use 0.001. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "apo-zero";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "apo-down";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "bco-pair";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /**
       * The mean of all rewards so far, which rewards are compared with; none compares them with 0.
       * Default: `"running"`.
       */
      readonly shift?: "running" | "none" | undefined;
    }
  | {
      readonly name: "bpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** How much the rejected answer's log-ratio counts. Default: `0.3`. */
      readonly alpha?: number | undefined;
      /** Max(0, 1 − u) or −log σ(u). Default: `"hinge"`. */
      readonly loss?: "hinge" | "logistic" | undefined;
    }
  | {
      readonly name: "f-dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** What ties the model to the reference. Default: `"forward-kl"`. */
      readonly divergence?: "forward-kl" | "jensen-shannon" | "alpha" | undefined;
      /** Of `divergence: alpha`; 1 is dpo, towards 0 the forward KL. Default: `0.5`. */
      readonly alpha?: number | undefined;
    }
  | {
      readonly name: "discopop";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The width of the turn from one loss to the other. Default: `0.05`. */
      readonly tau?: number | undefined;
    }
  | {
      readonly name: "aot";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0`. */
      readonly labelSmoothing?: number | undefined;
      /**
       * Compare margins of policy and reference; false: log-ratios of chosen and rejected answers.
       * Default: `true`.
       */
      readonly paired?: boolean | undefined;
    }
  | {
      readonly name: "beta-dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** How much the step's margins change beta. Default: `0.6`. */
      readonly alpha?: number | undefined;
      /** The share of each step's pairs that is left out. Default: `0.2`. */
      readonly filtered?: number | undefined;
      /** How much of the moving averages stays in each step. Default: `0.9`. */
      readonly momentum?: number | undefined;
    }
  | {
      readonly name: "tdpo1";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
    }
  | {
      readonly name: "tdpo2";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The weight of the difference of sequential KL divergences. Default: `0.5`. */
      readonly alpha?: number | undefined;
    }
  | {
      readonly name: "tis-dpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /**
       * The weight of η, the difference of weighted KL divergences; 0 leaves it out. Default: `0`.
       */
      readonly alpha?: number | undefined;
    }
  | {
      readonly name: "slic";
      /** The margin of log-probabilities, in nats. Default: `1`. */
      readonly delta?: number | undefined;
    }
  | {
      readonly name: "simpo";
      /** What the difference of the mean log-probabilities is multiplied by. Default: `2`. */
      readonly beta?: number | undefined;
      /** The margin to reach, after the multiplication by beta. Default: `0.5`. */
      readonly gamma?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0`. */
      readonly labelSmoothing?: number | undefined;
    }
  | {
      readonly name: "alphapo";
      /** What the difference of the rewards is multiplied by. Default: `2.5`. */
      readonly beta?: number | undefined;
      /** The margin to reach, after the multiplication by beta. Default: `0.1`. */
      readonly gamma?: number | undefined;
      /** The shape of the reward: 0 is the mean log-probability. Default: `0.25`. */
      readonly alpha?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0`. */
      readonly labelSmoothing?: number | undefined;
    }
  | {
      readonly name: "simper";
    }
  | {
      readonly name: "cpo";
      /** What the difference of the log-probabilities is multiplied by. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The share of pairs assumed to be labelled the wrong way round. Default: `0`. */
      readonly labelSmoothing?: number | undefined;
      /**
       * −log σ(u), max(0, 1 − u), or IPO's square of means of log-probabilities; TRL's `loss_type`.
       * Default: `"logistic"`.
       */
      readonly loss?: "logistic" | "hinge" | "ipo" | undefined;
      /** The weight of supervised fine-tuning on the chosen answers. Default: `1`. */
      readonly alpha?: number | undefined;
      /**
       * A mean over all tokens of the step, or over sequences of the sum over tokens. Default:
       * `"tokens"`.
       */
      readonly mean?: "tokens" | "sequences" | undefined;
    }
  | {
      readonly name: "orpo";
      /** The weight of the odds ratio. Default: `0.1`. */
      readonly lambda?: number | undefined;
    }
  | {
      readonly name: "rpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The weight of supervised fine-tuning on the chosen answers. Default: `1`. */
      readonly alpha?: number | undefined;
    }
  | {
      readonly name: "mpo";
      /** How strongly the policy is held to the reference. Default: `0.1`. */
      readonly beta?: number | undefined;
      /** The weight of dpo's loss. Default: `0.8`. */
      readonly preference?: number | undefined;
      /** The weight of bco-pair's loss. Default: `0.2`. */
      readonly quality?: number | undefined;
      /** The weight of supervised fine-tuning on the chosen answers. Default: `1`. */
      readonly generation?: number | undefined;
      /**
       * The mean of all rewards so far, which rewards are compared with; none compares them with 0.
       * Default: `"running"`.
       */
      readonly shift?: "running" | "none" | undefined;
    };

export type TrainingInput = {
  /** As `objective.beta`. */
  readonly beta?: number | undefined;
  /** As `learningRate`. */
  readonly learningRate?: number | undefined;
  /** As `warmupSteps`. */
  readonly warmupSteps?: number | undefined;
  /** As `schedule`. */
  readonly schedule?: "constant" | "cosine" | undefined;
  /** As `batchSize`. */
  readonly batchSize?: number | undefined;
  /** As `epochs`. */
  readonly epochs?: number | undefined;
  /** As `steps`. */
  readonly steps?: number | undefined;
  /** As `examples`. */
  readonly examples?: number | undefined;
};

export type TransformInput = 
  | {
      readonly name: "exp-clamp";
      /** A common factor. Default: `1`. */
      readonly k?: number | undefined;
      /** How strongly a log-ratio counts. Default: `1`. */
      readonly mu?: number | undefined;
      /** The least log-ratio; less counts as this. Default: `-0.5`. */
      readonly lower?: number | undefined;
      /** The largest; more counts as this. Default: `1.5`. */
      readonly upper?: number | undefined;
    }
  | {
      readonly name: "magnitude";
      /** How strongly a log-ratio counts. Default: `1`. */
      readonly mu?: number | undefined;
      /** The largest magnitude. Default: `1.5`. */
      readonly limit?: number | undefined;
    }
  | {
      readonly name: "raw";
    }
  | {
      readonly name: "binary";
      /** The share of tokens with weight 1. Default: `0.5`. */
      readonly share?: number | undefined;
    }
  | {
      readonly name: "threshold";
      /** The least log-ratio; less counts as this. Default: `-1`. */
      readonly lower?: number | undefined;
      /** The largest; more counts as this. Default: `1`. */
      readonly upper?: number | undefined;
    }
  | {
      readonly name: "threshold-and-scale";
      /** The least log-ratio; less counts as this. Default: `-1.5`. */
      readonly lower?: number | undefined;
      /** The largest; more counts as this. Default: `1.5`. */
      readonly upper?: number | undefined;
      /** The smallest weight. Default: `0.7`. */
      readonly least?: number | undefined;
      /** The largest weight. Default: `1.3`. */
      readonly most?: number | undefined;
    }
  | {
      readonly name: "rank";
      /** The smallest weight. Default: `0.7`. */
      readonly least?: number | undefined;
      /** The largest weight. Default: `1.3`. */
      readonly most?: number | undefined;
    }
  | {
      readonly name: "random";
      /** The smallest weight. Default: `0.7`. */
      readonly least?: number | undefined;
      /** The largest weight. Default: `1.3`. */
      readonly most?: number | undefined;
    }
  | {
      readonly name: "ones";
    };

export type WeightsInput = 
  | {
      readonly from: "dpo";
      /** What the training of the two contrastive models does otherwise than the recipe itself. */
      readonly training?: TrainingInput | undefined;
      /**
       * Where the contrastive models and their estimates are kept; `contrastive` in the run's
       * folder.
       */
      readonly folder?: string | undefined;
      /**
       * How the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected
       * answers.
       */
      readonly transform?: TransformInput | undefined;
    }
  | {
      readonly from: "sft";
      /** What the training of the two contrastive models does otherwise than the recipe itself. */
      readonly training?: TrainingInput | undefined;
      /**
       * Where the contrastive models and their estimates are kept; `contrastive` in the run's
       * folder.
       */
      readonly folder?: string | undefined;
      /**
       * How the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected
       * answers.
       */
      readonly transform?: TransformInput | undefined;
    }
  | {
      readonly from: "prompts";
      /** A pair of instructions, worded by us. */
      readonly preset?: "harmless" | "helpful" | "sentiment" | undefined;
      /** The positive instruction, with `{prompt}` once; instead of `preset`. */
      readonly positive?: string | undefined;
      /** The negative instruction, with `{prompt}` once; instead of `preset`. */
      readonly negative?: string | undefined;
      /**
       * Where the contrastive models and their estimates are kept; `contrastive` in the run's
       * folder.
       */
      readonly folder?: string | undefined;
      /**
       * How the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected
       * answers.
       */
      readonly transform?: TransformInput | undefined;
    }
  | {
      readonly from: "models";
      /** The folder of the model that likes chosen answers. */
      readonly positive: string;
      /** The folder of the model that likes rejected answers. */
      readonly negative: string;
      /**
       * Where the contrastive models and their estimates are kept; `contrastive` in the run's
       * folder.
       */
      readonly folder?: string | undefined;
      /**
       * How the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected
       * answers.
       */
      readonly transform?: TransformInput | undefined;
    }
  | {
      readonly from: "file";
      /** What `tokenwise weigh` wrote. */
      readonly file: string;
      /**
       * How the log-ratio r of a token becomes its weight; s is 1 for chosen, −1 for rejected
       * answers.
       */
      readonly transform?: TransformInput | undefined;
    };

export type LoraInput = {
  /** Rows of A, columns of B. Default: `16`. */
  readonly rank?: number | undefined;
  /** The adapter's output is scaled by alpha / rank. Default: `32`. */
  readonly alpha?: number | undefined;
  /** The share of an adapter's inputs that is hidden in training. Default: `0`. */
  readonly dropout?: number | undefined;
  /**
   * The linear layers of every block, or a list of them by the model's own names, such as `q_proj`.
   * Default: `"all-linear"`.
   */
  readonly targetModules?: "all-linear" | readonly string[] | undefined;
  /** Scale by alpha / √rank instead (Kalajdzievski 2023). Default: `false`. */
  readonly rslora?: boolean | undefined;
  /**
   * The frozen weights in memory: mapped from their file as stored, or quantised to 4 bits.
   * Default: `"stored"`.
   */
  readonly base?: "stored" | "int4" | undefined;
};

export type OptimizerInput = 
  | {
      readonly name: "adamw";
      /** Decay of the mean of gradients. Default: `0.9`. */
      readonly beta1?: number | undefined;
      /** Decay of the mean of squared gradients. Default: `0.999`. */
      readonly beta2?: number | undefined;
      /** Keeps the division by a root from being one by zero. Default: `1e-8`. */
      readonly epsilon?: number | undefined;
      /** Decoupled decay of the weights, per learning rate. Default: `0`. */
      readonly weightDecay?: number | undefined;
    }
  | {
      readonly name: "rmsprop";
      /** Decay of the mean of squared gradients. Default: `0.99`. */
      readonly decay?: number | undefined;
      /** Keeps the division by a root from being one by zero. Default: `1e-8`. */
      readonly epsilon?: number | undefined;
      /** Decoupled decay of the weights, per learning rate. Default: `0`. */
      readonly weightDecay?: number | undefined;
    };

export type MicrobatchInput = {
  /** Tokens at most. Default: `1280`. */
  readonly tokens?: number | undefined;
  /** Examples at most. */
  readonly examples?: number | undefined;
};

export type ReferenceCacheInput = {
  /** The size of the file at most; 0 keeps none. Default: `4`. */
  readonly gigabytes?: number | undefined;
  /**
   * Fill it before the first step, so that only the reference's head stays in memory. Default:
   * `false`.
   */
  readonly ahead?: boolean | undefined;
};

export type EvaluationInput = {
  /** Evaluate after so many steps; always at the end. */
  readonly everySteps?: number | undefined;
  /** Evaluate before the first step. Default: `true`. */
  readonly atStart?: boolean | undefined;
  /** Held-out examples at most, the first ones. Default: `256`. */
  readonly examples?: number | undefined;
  /**
   * Answers to each of the first 8 held-out prompts at each evaluation, written to samples.jsonl.
   * Default: `0`.
   */
  readonly samples?: number | undefined;
};

export type CheckpointsInput = {
  /** Write one after so many steps. */
  readonly everySteps?: number | undefined;
  /** Write one after so many minutes, without `everySteps`. Default: `10`. */
  readonly everyMinutes?: number | undefined;
  /** How many are kept, the newest ones. Default: `1`. */
  readonly keep?: number | undefined;
};

export type LoggingInput = {
  /** A line of metrics.jsonl for so many steps. Default: `1`. */
  readonly everySteps?: number | undefined;
  /** And for so many seconds of training at least. Default: `0`. */
  readonly minimumSeconds?: number | undefined;
};

/** A recipe as a user writes it: keys with defaults may be left out. */
export interface RecipeInput {
  /** The folder of the model to train: in Hugging Face's layout, an adapter, or a run's folder. */
  readonly model?: string | undefined;
  /** A new model with random weights, instead of `model`. */
  readonly init?: InitInput | undefined;
  /**
   * A folder with a tokenizer.json, or `bytes` for one token per byte; the model's own by default.
   */
  readonly tokenizer?: string | undefined;
  /** The frozen model to compare with, or `none`; the starting model by default. */
  readonly reference?: string | undefined;
  /** The run's folder. */
  readonly output: string;
  /** Fixes the order of the data, the split, dropout, and new weights. Default: `0`. */
  readonly seed?: number | undefined;
  /** Threads that compute; all cores by default. */
  readonly threads?: number | undefined;
  /** The examples. */
  readonly data: DataInput;
  /** The loss, by its name; see [the objectives](../README.md#objectives). */
  readonly objective: ObjectiveInput;
  /** Importance weights of tokens: `from` says which two models estimate them; none by default. */
  readonly weights?: WeightsInput | undefined;
  /**
   * Train a low-rank adapter on the frozen model instead of the model itself; `{}` takes all
   * defaults.
   */
  readonly lora?: LoraInput | undefined;
  /** The optimizer; AdamW by default. */
  readonly optimizer?: OptimizerInput | undefined;
  /** The step size after the warm-up. */
  readonly learningRate: number;
  /** Steps of linear warm-up. Default: `0`. */
  readonly warmupSteps?: number | undefined;
  /**
   * The learning rate after the warm-up: constant, or half a cosine down to 0. Default:
   * `"constant"`.
   */
  readonly schedule?: "constant" | "cosine" | undefined;
  /** Gradients with a larger Euclidean norm are scaled down to it. Default: `10`. */
  readonly maxGradientNorm?: number | undefined;
  /** Examples of one optimizer step. Default: `64`. */
  readonly batchSize?: number | undefined;
  /** How long, in passes over the data: one of `epochs`, `steps` and `examples`. */
  readonly epochs?: number | undefined;
  /** How long, in optimizer steps. */
  readonly steps?: number | undefined;
  /** How long, in examples. */
  readonly examples?: number | undefined;
  /**
   * What is computed at once: gradients of such parts add up to the step's, so the result is the
   * same.
   */
  readonly microbatch?: MicrobatchInput | undefined;
  /**
   * The memory that the run may take: the reference is cached ahead, then activations are computed
   * again, as far as needed by estimate.
   */
  readonly memory?: string | undefined;
  /** Compute activations again in the backward pass instead of keeping them. Default: `false`. */
  readonly activationCheckpointing?: boolean | undefined;
  /** The reference's hidden states on disk while the run lasts, for examples that come again. */
  readonly referenceCache?: ReferenceCacheInput | undefined;
  /** Metrics of held-out examples. */
  readonly evaluation?: EvaluationInput | undefined;
  /** What `resume` continues from. */
  readonly checkpoints?: CheckpointsInput | undefined;
  /** How often metrics are recorded. */
  readonly logging?: LoggingInput | undefined;
  /** How the trained model is stored; training itself is in float32. Default: `"float32"`. */
  readonly dtype?: "float32" | "bfloat16" | undefined;
}
