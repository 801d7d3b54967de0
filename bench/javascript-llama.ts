import { lax, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";
import type { LlamaConfiguration } from "../src/families/llama.ts";

/** Arrays by the names of the parameters. */
export type Weights = Record<string, np.Array>;

/** A padded batch, chosen answers first: token ids and which of them are scored, [rows, length]. */
export type Rows = { ids: np.Array; scored: np.Array };

/**
 * Loss of TDPO2, with log-ratios and sequential KLs beside it. As everywhere in jax-js, a function
 * owns its arguments.
 */
export function lossAndGradients(configuration: LlamaConfiguration, { alpha, beta }: { alpha: number; beta: number }) {
  const loss = (policy: Weights, reference: Weights, { ids, scored }: Rows) => {
    const [, length] = ids.shape as [number, number];
    // Not takeAlongAxis: its gradient cannot be compiled. This becomes a part of the sum below.
    const labels = nn.oneHot(ids.ref.slice([], [1, length]), configuration.vocabularySize);
    const mask = scored.slice([], [1, length]);
    const ours = logProbabilities(configuration, policy, ids.ref);
    const theirs = lax.stopGradient(logProbabilities(configuration, reference, ids));
    const difference = ours.sub(theirs.ref);
    const ratio = difference.ref.mul(labels).sum(2).mul(mask.ref).sum(1);
    const kl = np.exp(theirs).mul(difference.neg()).sum(2).mul(mask).sum(1);
    const [chosenRatio, rejectedRatio] = np.split(ratio.ref, 2) as [np.Array, np.Array];
    const [chosenKl, rejectedKl] = np.split(kl.ref, 2) as [np.Array, np.Array];
    const margin = chosenRatio.sub(rejectedRatio).sub(rejectedKl.sub(lax.stopGradient(chosenKl)).mul(alpha));
    return [nn.softplus(margin.mul(-beta)).mean(), { ratio, kl }] as [np.Array, { ratio: np.Array; kl: np.Array }];
  };
  return valueAndGrad(loss, { hasAux: true });
}

/**
 * [rows, length - 1, vocabulary] of ids [rows, length]. Padding stands at the end, where nothing
 * that is scored can see it.
 */
function logProbabilities(configuration: LlamaConfiguration, weights: Weights, ids: np.Array): np.Array {
  const { heads, keyValueHeads, headWidth, layers, normEpsilon, tiedEmbeddings } = configuration;
  const [rows, length] = ids.shape as [number, number];
  const weight = (name: string) => weights[`${name}.weight`]!.ref;
  const linear = (x: np.Array, name: string) => np.matmul(x, np.matrixTranspose(weight(name)));
  const norm = (x: np.Array, name: string) => {
    const scale = np.sqrt(np.square(x.ref).mean(-1, { keepdims: true }).add(normEpsilon));
    return x.div(scale).mul(weight(name));
  };
  const { cos, sin } = angles(configuration, length);
  const rotate = (x: np.Array) => {
    const [left, right] = np.split(x.ref, 2, -1) as [np.Array, np.Array];
    return x.mul(cos.ref).add(np.concatenate([right.neg(), left], -1).mul(sin.ref));
  };
  const split = (x: np.Array, count: number) => x.reshape([rows, length, count, headWidth]);
  const grouped = (x: np.Array) => np.repeat(x, heads / keyValueHeads, 2);
  let x = np.take(weight("model.embed_tokens"), ids, 0);
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    const h = norm(x.ref, `${prefix}.input_layernorm`);
    const query = rotate(split(linear(h.ref, `${prefix}.self_attn.q_proj`), heads));
    const key = rotate(split(linear(h.ref, `${prefix}.self_attn.k_proj`), keyValueHeads));
    const value = split(linear(h, `${prefix}.self_attn.v_proj`), keyValueHeads);
    const context = attention(query, grouped(key), grouped(value)).reshape([rows, length, heads * headWidth]);
    x = x.add(linear(context, `${prefix}.self_attn.o_proj`));
    const g = norm(x.ref, `${prefix}.post_attention_layernorm`);
    const gate = nn.silu(linear(g.ref, `${prefix}.mlp.gate_proj`));
    x = x.add(linear(gate.mul(linear(g, `${prefix}.mlp.up_proj`)), `${prefix}.mlp.down_proj`));
  }
  const last = norm(x.slice([], [0, length - 1]), "model.norm");
  const logits = linear(last, tiedEmbeddings ? "model.embed_tokens" : "lm_head");
  tree.dispose([weights, cos, sin]);
  return nn.logSoftmax(logits, -1);
}

/**
 * Causal attention of [rows, length, heads, head width]. Not jax-js's own: that one needs Node 22.
 */
function attention(query: np.Array, key: np.Array, value: np.Array): np.Array {
  const [, length, , headWidth] = query.shape as [number, number, number, number];
  const byHead = (x: np.Array) => np.transpose(x, [0, 2, 1, 3]);
  const scores = np.matmul(byHead(query), np.transpose(key, [0, 2, 3, 1])).mul(headWidth ** -0.5);
  const future = np.triu(np.full([length, length], -1e30), 1);
  return byHead(np.matmul(nn.softmax(scores.add(future), -1), byHead(value)));
}

/** Cosines and sines of the rotary embedding, [length, 1, head width]. */
function angles({ headWidth, ropeTheta }: LlamaConfiguration, length: number) {
  const data = new Float32Array(length * headWidth);
  for (let index = 0; index < data.length; index++) {
    const [position, column] = [Math.floor(index / headWidth), index % headWidth];
    data[index] = position * ropeTheta ** ((-2 * (column % (headWidth / 2))) / headWidth);
  }
  const angle = np.array(data).reshape([length, 1, headWidth]);
  return { cos: np.cos(angle.ref), sin: np.sin(angle) };
}
