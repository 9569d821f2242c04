"""The loop of reinforcement learning: roll out groups, weigh them, step; the specialists, mixed RL and Speciale."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence

from baleen.chat import Tokenizer
from baleen.config import UserError
from baleen.config.stages import RLStage
from baleen.environments import Task, environment_for
from baleen.model import Transformer, can_pack
from baleen.rl.groups import play_groups, weigh
from baleen.rl.learner import Learner
from baleen.rl.rollout import World
from baleen.train.supervised import Surroundings, restore, save_if_due

WARN_AFTER, STOP_AFTER = 5, 20  # steps in a row in which no group teaches anything


def train_rl(
    model: Transformer,
    tokenizer: Tokenizer,
    stage: RLStage,
    tasks: Callable[[int], Sequence[Task]],
    around: Surroundings,
    seed: int,
    world: World = environment_for,
) -> None:
    """Run a stage to its end, or from its newest checkpoint.

    `tasks(step)` gives the prompts of a step and is a pure function; the reference policy is `model` as it
    comes in. Rollouts are sampled with seeds of their own, so a resumed run repeats an uninterrupted one.
    Raises Interrupted after a checkpoint when `around.should_stop()` turns true, UserError when `STOP_AFTER` steps
    in a row taught nothing.
    """
    if stage.deterministic and not can_pack():
        raise UserError("deterministic = true needs a C++ compiler; install one, as g++, or set it to false")
    reference = copy.deepcopy(model).requires_grad_(False) if stage.kl else None
    learner = Learner(model, reference, stage, around.workers)
    start = restore(model, learner.optimisers, around.checkpoints)
    around.resumed(start)
    silent_steps = 0
    for step in range(start, stage.steps):
        began = time.perf_counter()
        weighed = weigh(play_groups(model, tokenizer, stage, tasks(step), (seed, step), world), stage)
        scalars = dict(weighed.scalars)
        sampled_in = time.perf_counter() - began
        scalars |= learner.learn(weighed.rollouts, weighed.count, step)
        seconds = time.perf_counter() - began
        scalars["tokens_per_s"] = scalars["sampled_tokens"] / seconds
        scalars["sampling_share"] = sampled_in / seconds
        around.log(step, scalars)
        silent_steps = silent_steps + 1 if scalars.get("zero_advantage_groups", 1.0) == 1.0 else 0
        save_if_due(step + 1, stage.steps, stage.checkpoint_every, model, learner.optimisers, around)
        if silent_steps == WARN_AFTER:
            around.warn(nothing_learnt(scalars, stage, silent_steps))
        elif silent_steps == STOP_AFTER:
            raise UserError(nothing_learnt(scalars, stage, silent_steps))


def nothing_learnt(scalars: Mapping[str, float], stage: RLStage, steps: int) -> str:
    """Why `steps` steps in a row had no advantage to learn from, by the `scalars` of the last, and what to change."""
    told = f"nothing was learnt in {steps} steps: all rollouts of a group had the same reward"
    if "reward" not in scalars:
        return f"{told}, for the infrastructure failed all of them; look at the first error above"
    told += f" (mean {scalars['reward']:.2f}, {scalars['cut_answers']:.0%} of the answers cut)"
    if scalars["cut_answers"] > 0.5:
        return f"{told}; raise max_tokens ({stage.max_tokens}) or max_turns ({stage.max_turns})"
    if scalars["reward"] > 0.5:
        return f"{told}; give harder tasks: these are solved"
    return f"{told}; give easier tasks, or a model that solves some of them (more SFT)"
