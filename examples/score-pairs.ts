/** Log-probabilities of one's own pairs, token by token: `npx tsx examples/score-pairs.ts`. */
import { loadModel } from "tokenwise";

const model = await loadModel("demo/model");
const pairs = [
  { prompt: "This movie is", chosen: " great fun.", rejected: " a waste of time." },
  { prompt: "I watched it", chosen: " twice.", rejected: " and fell asleep." },
];
for (const [index, { chosen, rejected }] of (await model.score(pairs)).entries()) {
  console.log(pairs[index]!.prompt);
  for (const { tokens, logp, sum } of [chosen, rejected]) {
    const parts = Array.from(tokens, (id, t) => `${model.tokenizer.decode([id])} ${logp[t]!.toFixed(2)}`);
    console.log(`  ${sum.toFixed(2)}: ${parts.join(" |")}`);
  }
}
model.dispose();
