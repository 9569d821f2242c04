"""The RL loop: sample groups, score them, learn. Specialists, mixed RL and Speciale are stages of it."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence

from baleen.config import UserError
from baleen.config.stages import RLStage
from baleen.environments import Task
from baleen.model import Transformer, can_prepack
from baleen.rl.groups import sample_groups, score_groups
from baleen.rl.learner import Learner
from baleen.rl.sampler import RolloutSampler, check_capabilities
from baleen.train.supervised import StageContext, restore, save_if_due

WARN_AFTER, STOP_AFTER = 5, 20  # steps in a row in which no group teaches anything


def train_rl(
    model: Transformer,
    sampler: RolloutSampler,
    stage: RLStage,
    tasks: Callable[[int], Sequence[Task]],
    context: StageContext,
    seed: int,
) -> None:
    """Run a stage to its end, or continue it from its newest checkpoint.

    Args:
        model: the policy; as passed in, it is also the reference policy.
        sampler: gets the policy's weights before each step, with the step as their version.
        tasks: the prompts of a step, a pure function. Rollouts have seeds of their own, so a resumed run repeats an
            uninterrupted one.

    Raises:
        Interrupted: `context.should_stop()` turned true; a checkpoint has been saved.
        UserError: the sampler lacks what the stage needs, or `STOP_AFTER` steps in a row taught nothing.
    """
    check_capabilities(sampler, stage)
    if stage.deterministic and not can_prepack():
        raise UserError("deterministic = true needs a C++ compiler; install one, as g++, or set it to false")
    reference = copy.deepcopy(model).requires_grad_(False) if stage.kl else None
    learner = Learner(model, reference, stage, context.workers)
    start = restore(model, learner.optimizers, context.checkpoints)
    context.resumed(start)
    silent_steps = 0
    for step in range(start, stage.steps):
        began = time.perf_counter()
        sampler.update_weights(model, version=step)
        scored = score_groups(sample_groups(sampler, stage, tasks(step), (seed, step)), stage)
        metrics = dict(scored.metrics)
        sampled_in = time.perf_counter() - began
        metrics |= learner.learn(scored.samples, scored.count, step)
        seconds = time.perf_counter() - began
        metrics["tokens_per_s"] = metrics["sampled_tokens"] / seconds
        metrics["sampling_share"] = sampled_in / seconds
        context.log(step, metrics)
        silent_steps = silent_steps + 1 if metrics.get("zero_advantage_groups", 1.0) == 1.0 else 0
        save_if_due(step + 1, stage.steps, stage.checkpoint_every, model, learner.optimizers, context)
        if silent_steps == WARN_AFTER:
            context.warn(nothing_learned(metrics, stage, silent_steps))
        elif silent_steps == STOP_AFTER:
            raise UserError(nothing_learned(metrics, stage, silent_steps))


def nothing_learned(metrics: Mapping[str, float], stage: RLStage, steps: int) -> str:
    """Why `steps` steps in a row had no advantage to learn from, judged by the last one, and what to change."""
    told = f"nothing was learned in {steps} steps: all rollouts of a group had the same reward"
    if "reward" not in metrics:
        return f"{told}, because the infrastructure failed all of them; look at the first error above"
    told += f" (mean {metrics['reward']:.2f}, {metrics['cut_answers']:.0%} of the answers truncated)"
    if metrics["cut_answers"] > 0.5:
        return f"{told}; raise max_tokens ({stage.max_tokens}) or max_turns ({stage.max_turns})"
    if metrics["reward"] > 0.5:
        return f"{told}; give harder tasks: these are solved"
    return f"{told}; give easier tasks, or a model that solves some of them (more SFT)"
