"""Golden values of preference losses: what TRL's trainers compute for given log-probabilities.

    python make.py > golden.json

Needs torch and trl; the file in this folder is from trl 1.13.0 and torch 2.13. No model and no network: a stand-in
returns logits over two tokens, of which the first has the wanted log-probability, and TRL's own loss functions do the
rest. Everything is in float64, but for the alpha divergence, whose code has no float64.

For each case: the options that TRL was given; loss, rewards and the gradient of the loss for every log-probability of
the policy, for each pair alone and for all of them as one batch, where loss and rewards are means.
"""

import json
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl
from trl.experimental.cpo.cpo_trainer import CPOTrainer
from trl.experimental.orpo.orpo_trainer import ORPOTrainer
from trl.trainer.dpo_trainer import DPOTrainer

LENGTHS = [(1, 1), (3, 2), (2, 5), (6, 1), (4, 4)]

DPO = dict(beta=0.1, loss_types=["sigmoid"], loss_weights=[1.0], label_smoothing=0.0, f_divergence_type="reverse_kl",
           f_alpha_divergence_coef=0.5, discopop_tau=0.05)
CPO = dict(beta=0.1, loss_type="sigmoid", label_smoothing=0.0, cpo_alpha=1.0, simpo_gamma=0.5, alpha=0.0)


def dpo(**options):
    return dict(trainer="DPO", options=options)


def cpo(**options):
    return dict(trainer="CPO", options=options)


CASES = [
    dpo(beta=0.3, loss_types=["sigmoid"]),
    dpo(beta=0.3, loss_types=["sigmoid_norm"]),
    dpo(beta=0.3, loss_types=["hinge"]),
    dpo(beta=0.3, loss_types=["ipo"]),
    dpo(beta=0.3, loss_types=["robust"], label_smoothing=0.1),
    dpo(beta=0.3, loss_types=["robust"], label_smoothing=0.0),
    dpo(beta=0.3, loss_types=["exo_pair"], label_smoothing=0.001),
    dpo(beta=0.3, loss_types=["exo_pair"], label_smoothing=0.2),
    dpo(beta=0.3, loss_types=["nca_pair"]),
    dpo(beta=0.3, loss_types=["bco_pair"]),
    dpo(beta=0.3, loss_types=["sppo_hard"]),
    dpo(beta=0.3, loss_types=["apo_zero"]),
    dpo(beta=0.3, loss_types=["apo_down"]),
    dpo(beta=0.3, loss_types=["discopop"]),
    dpo(beta=0.3, loss_types=["discopop"], discopop_tau=0.3),
    dpo(beta=0.3, loss_types=["aot"], label_smoothing=0.1),
    dpo(beta=0.3, loss_types=["aot"]),
    dpo(beta=0.3, loss_types=["aot_unpaired"], label_smoothing=0.1),
    dpo(beta=0.3, loss_types=["aot_unpaired"]),
    dpo(beta=0.3, loss_types=["sigmoid"], f_divergence_type="forward_kl"),
    dpo(beta=0.3, loss_types=["sigmoid"], f_divergence_type="js_divergence"),
    dpo(beta=0.3, loss_types=["sigmoid"], f_divergence_type="alpha_divergence", f_alpha_divergence_coef=0.5),
    dpo(beta=0.3, loss_types=["sigmoid"], f_divergence_type="alpha_divergence", f_alpha_divergence_coef=1.7),
    dpo(beta=0.3, loss_types=["sigmoid", "sft"], loss_weights=[1.0, 0.5]),
    dpo(beta=0.3, loss_types=["sigmoid", "bco_pair", "sft"], loss_weights=[0.8, 0.2, 1.0]),
    cpo(beta=0.3, loss_type="sigmoid", cpo_alpha=0.5),
    cpo(beta=0.3, loss_type="sigmoid", cpo_alpha=1.0, label_smoothing=0.1),
    cpo(beta=0.3, loss_type="hinge", cpo_alpha=0.5),
    cpo(beta=0.3, loss_type="ipo", cpo_alpha=0.5),
    cpo(beta=2.0, loss_type="simpo", simpo_gamma=0.5, cpo_alpha=0.0),
    cpo(beta=2.0, loss_type="simpo", simpo_gamma=0.5, cpo_alpha=0.0, label_smoothing=0.1),
    cpo(beta=2.5, loss_type="simpo", simpo_gamma=0.1, cpo_alpha=0.0, alpha=0.25),
    cpo(beta=2.5, loss_type="simpo", simpo_gamma=0.1, cpo_alpha=0.0, alpha=-0.5, label_smoothing=0.1),
    dict(trainer="ORPO", options=dict(beta=0.1)),
    dict(trainer="ORPO", options=dict(beta=0.7)),
]

accelerator = SimpleNamespace(
    device=torch.device("cpu"), gather=lambda x: x, gather_for_metrics=lambda x: x, unwrap_model=lambda x: x)


def draw_pairs():
    torch.manual_seed(1)
    rounded = lambda n: [round(-0.05 - 2 * value, 6) for value in torch.rand(n, dtype=torch.float64).tolist()]
    return [{f"{model}_{side}": rounded(length) for side, length in zip(("chosen", "rejected"), lengths)
             for model in ("policy", "reference")} for lengths in LENGTHS]


def logits_of(rows, width, dtype):
    """[rows, 1 + width, 2]: position t predicts token t + 1, a 0, with the log-probability given."""
    padded = [torch.cat([row, row.new_full((width + 1 - len(row),), -1.0)]) for row in rows]
    logps = torch.stack(padded)
    return torch.stack([logps, torch.log1p(-torch.exp(logps))], dim=-1).to(dtype)


class Model(torch.nn.Module):
    """Returns logits that were made beforehand."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, *_, **__):
        return SimpleNamespace(logits=self.logits)


def masks(pairs):
    lengths = [len(pair["policy_" + side]) for side in ("chosen", "rejected") for pair in pairs]
    width = max(lengths)
    # A prompt of one token, then the answer.
    mask = torch.tensor([[0] + [1] * n + [0] * (width - n) for n in lengths])
    return mask, width


def with_dpo(pairs, leaves, options):
    dtype = torch.float32 if options.get("f_divergence_type") == "alpha_divergence" else torch.float64
    settings = DPO | options
    settings.setdefault("loss_weights", [1.0])
    mask, width = masks(pairs)
    policy = Model(logits_of(leaves, width, dtype))
    references = [torch.tensor(pair["reference_" + side], dtype=torch.float64)
                  for side in ("chosen", "rejected") for pair in pairs]
    trainer = SimpleNamespace(
        **settings, accelerator=accelerator, model=policy, ref_model=Model(logits_of(references, width, dtype)),
        args=SimpleNamespace(discopop_tau=settings["discopop_tau"], gradient_checkpointing_kwargs=None,
                             gradient_checkpointing=False),
        aux_loss_enabled=False, use_weighting=False, ld_alpha=None, precompute_ref_logps=False,
        _metrics=defaultdict(lambda: defaultdict(list)), _total_train_tokens=0, _tp_size=1)
    trainer.model.gradient_checkpointing_disable = trainer.model.gradient_checkpointing_enable = lambda *_, **__: None
    trainer.model.is_gradient_checkpointing = False
    inputs = dict(input_ids=torch.zeros_like(mask), attention_mask=torch.ones_like(mask), completion_mask=mask)
    loss = DPOTrainer._compute_loss(trainer, policy, inputs, False)
    metrics = trainer._metrics["train"]
    return loss, [metrics["rewards/chosen"][0], metrics["rewards/rejected"][0]]


def with_cpo(trainer_class, pairs, leaves, options):
    mask, width = masks(pairs)
    policy = Model(logits_of(leaves, width, torch.float64))
    count = len(pairs)
    settings = (CPO | options) if trainer_class is CPOTrainer else options
    trainer = SimpleNamespace(**settings, accelerator=accelerator, is_encoder_decoder=False, aux_loss_enabled=False,
                              pad_token_id=1, padding_value=1)
    for name in ("concatenated_forward", "cpo_loss", "odds_ratio_loss"):
        if hasattr(trainer_class, name):
            setattr(trainer, name, getattr(trainer_class, name).__get__(trainer))
    for name in ("concatenated_inputs", "get_batch_logps"):
        setattr(trainer, name, getattr(trainer_class, name))
    batch = {}
    for side, rows in (("chosen", mask[:count]), ("rejected", mask[count:])):
        attention = rows.clone()
        attention[:, 0] = 1
        batch[f"{side}_input_ids"] = torch.where(attention == 1, 0, 1)
        batch[f"{side}_attention_mask"] = attention
        batch[f"{side}_labels"] = torch.where(rows == 1, 0, -100)
    loss, metrics = trainer_class.get_batch_loss_metrics(trainer, policy, batch)
    return loss, [float(metrics["rewards/chosen"]), float(metrics["rewards/rejected"])]


def run(case, pairs):
    leaves = [torch.tensor(pair["policy_" + side], dtype=torch.float64, requires_grad=True)
              for side in ("chosen", "rejected") for pair in pairs]
    if case["trainer"] == "DPO":
        loss, rewards = with_dpo(pairs, leaves, case["options"])
    else:
        loss, rewards = with_cpo({"CPO": CPOTrainer, "ORPO": ORPOTrainer}[case["trainer"]], pairs, leaves,
                                 case["options"])
    loss.backward()
    count = len(pairs)
    rounded = lambda values: [round(float(value), 10) for value in values]
    return dict(loss=round(loss.item(), 10), rewards=rounded(rewards),
                gradients=[[rounded(leaves[i].grad), rounded(leaves[count + i].grad)] for i in range(count)])


def main():
    pairs = draw_pairs()
    cases = []
    for case in CASES:
        # The rewards of a batch are means.
        cases.append(case | dict(batch=run(case, pairs), pairs=[run(case, [pair]) for pair in pairs]))
    print(json.dumps(dict(trl=trl.__version__, torch=torch.__version__, pairs=pairs, cases=cases)))


main()
