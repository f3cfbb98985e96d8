"""How far float32 is off: what the fixture scripts of the diffusion models share.

A tensor's "noise", from which the tests derive their tolerances, is max |float32 - float64| over
its elements, as the root mean square over ORDERS runs of the reference that differ in nothing
but the order in which sums of products are added (inputs of each layer and columns of its
weights change places together, which exact arithmetic would not notice).

Why more than one.  Steps with guidance stretch an error along one direction, so at the end of
many it is g times a fixed tensor, with g near normal and its size, |g|, a matter of luck: 0.0003
to 0.0027 in the 20 steps of Stable Audio's run `many` (make_fixtures.py --spread).  Taken from
one run, with a margin of 4, the test is |g2| <= 4 |g1|, which a faultless implementation fails
in (2/pi) atan(1/4), 16 %, of all cases.  Against the root mean square of n runs g follows
Student's t with n degrees of freedom: |t16| > 4 has a probability of 0.1 %.  And as what is
compared with is float64, only the error of what is tested counts.
"""

import contextlib
import math

import torch

ORDERS = 16


@contextlib.contextmanager
def other_order(parts, seed):
    """Within it the sums of all products of these modules, and of their copies, run over their
    inputs in another order; seed 0: in their own."""
    rand, undo = torch.Generator().manual_seed(seed), []

    def change(module, names, dim, inputs):
        order = torch.randperm(getattr(module, names[0]).shape[dim], generator=rand)
        for name in names:
            p = getattr(module, name)
            undo.append((p, p.data))
            p.data = p.data.index_select(dim, order).contiguous()
        hook = module.register_forward_pre_hook(
            lambda m, args: (args[0].index_select(inputs, order), *args[1:]))
        undo.append((hook, None))

    for module in (m for part in parts if seed for m in part.modules()):
        v = "weight_v" if hasattr(module, "weight_v") else "weight"
        if getattr(module, "groups", 1) != 1:
            continue
        if isinstance(module, torch.nn.ConvTranspose1d):
            change(module, [v, "weight_g"] if v != "weight" else [v], 0, 1)
        elif isinstance(module, (torch.nn.Conv1d, torch.nn.Conv2d)):
            change(module, [v], 1, 1)
        elif isinstance(module, torch.nn.Linear):
            change(module, ["weight"], 1, -1)
        elif type(module).__name__ == "Conv1D":  # GPT-2's linear layers
            change(module, ["weight"], 0, -1)
    yield
    for what, data in undo:
        if data is None:
            what.remove()
        else:
            what.data = data


def in_orders(run, parts):
    """What run() gives in each order."""
    runs = []
    for seed in range(ORDERS):
        with other_order(parts, seed):
            runs.append(run())
    return runs


def distances(name, exact, runs):
    return [(exact[name].double() - one[name].double()).abs().max().item() for one in runs]


def noise_of(name, exact, runs):
    return math.sqrt(sum(d * d for d in distances(name, exact, runs)) / len(runs))
