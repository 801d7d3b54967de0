/** One's own pairs, token by token: `npx tsx examples/score-pairs.ts`. */
import { loadModel, score } from "tokenwise";

const { tokenizer, dispose } = await loadModel("demo/model");

// Pairs in files, as they are trained on; with `reference`, also log-ratios and divergences.
for await (const { prompt, chosen, rejected } of await score({
  model: "demo/model",
  data: ["demo/pairs.jsonl"],
  examples: 2,
})) {
  console.log(tokenizer.decode(prompt.tokens));
  for (const { tokens, logp, sum } of [chosen, rejected]) {
    const parts = Array.from(tokens, (id, t) => `${tokenizer.decode([id])} ${logp[t]!.toFixed(2)}`);
    console.log(`  ${sum.toFixed(2)}: ${parts.join(" |")}`);
  }
}
dispose();
