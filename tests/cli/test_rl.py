"""Reinforcement learning of a finished model on task files and families, from the command line."""

import json
import os
import random
import re
import signal
from pathlib import Path

import pytest
import torch

from baleen.chat import Tokenizer, train_tokenizer
from baleen.cli.main import main
from baleen.config import ModelConfig, UsageError
from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.environments import sample_task
from baleen.environments.general import HELDOUT_DOMAINS, TRAIN_DOMAINS
from baleen.model import Transformer, load_model, save_model
from baleen.runs.run_folder import RunFolder
from baleen.stages.curriculum import check_tasks, demonstrations, drawn_tasks, first_copies, held_out_tasks

RECIPE = """
text_bytes = 20_000
[[stage]]
name = "rl"
kind = "rl"
judged_on = "all"
steps = 2
prompts_per_step = 4
group_size = 2
max_tokens = 8
checkpoint_every = 1
tasks.general = { difficulties = [1, 3] }
[evaluation]
task_files = 4
attempts = 2
max_tokens = 8
tasks.general = [2]
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model of random weights, task files of two kinds, a recipe."""
    tokenizer = train_tokenizer(["Add 7+5. name result"] * 2, 300, tmp_path / "model")
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, num_nextn_predict_layers=0)
    save_model(Transformer(config).initialize(torch.Generator().manual_seed(0)), tmp_path / "model")
    for family, levels in (("sum", (3, 4)), ("general", (1, 2))):
        rng = random.Random(0)
        tasks = [sample_task(family, rng.choice(levels), rng, split) for split in ("train", "heldout") * 3]
        (tmp_path / family).mkdir()
        (tmp_path / family / "tasks.jsonl").write_text(
            "".join(json.dumps(task.to_row()) + "\n" for task in tasks)
        )
    (tmp_path / "rl.toml").write_text(RECIPE)
    return tmp_path


def command(folder: Path, *arguments: str) -> int:
    files = [f"--tasks={folder / family / 'tasks.jsonl'}" for family in ("sum", "general")]
    words = ["rl", str(folder / "model"), *files, "--out", str(folder / "run"), "--threads", "1"]
    return main([*words, "--recipe", str(folder / "rl.toml"), *arguments])


def test_a_model_is_trained_on_files_and_families_and_asked_before_and_after(folder, capsys):
    assert command(folder) == 0  # random weights solve nothing, before or after: nobody can tell
    told = capsys.readouterr().out
    assert "rise of accuracy, summed over domains" in told and "general museum 2: 0 -> 0 of 1" in told
    records = [json.loads((folder / "run" / "stages" / f"{n}.json").read_text()) for n in ("rl-start", "rl")]
    for record in records:
        assert [answer["domain"] for answer in record["answers"]] == ["math"] * 3 + ["general"] * 3
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]
    assert load_model(folder / "run" / "model").config == load_model(folder / "model").config
    # the same command finds everything done
    assert command(folder) == 0
    assert (folder / "run" / "metrics.jsonl").read_text().splitlines() == lines


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(folder, capsys, monkeypatch, number, code):
    log = RunFolder.log_metrics

    def interrupted(self: RunFolder, *told: object, **scalars: float) -> None:
        log(self, *told, **scalars)
        os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log_metrics", interrupted)
        assert command(folder) == code
    assert "stopping after this step" in capsys.readouterr().out
    assert [path.name for path in (folder / "run/checkpoints/rl").iterdir()] == ["step-000001"]
    assert command(folder) == 0
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]


def test_a_damaged_checkpoint_is_passed_over_aloud(folder, capsys):
    command(folder)
    (folder / "run" / "stages" / "rl.json").unlink()
    newest = folder / "run/checkpoints/rl/step-000002/model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    capsys.readouterr()
    command(folder)
    assert "step-000002 is damaged" in capsys.readouterr().out
    assert "step-000002 is damaged" in (folder / "run" / "log.txt").read_text()


def test_what_cannot_be_trained_is_one_line(folder, capsys):
    (folder / "rl.toml").write_text(RECIPE.replace("tasks.general", "# tasks.general"))
    words = ["rl", str(folder / "model"), "--out", str(folder / "empty"), "--recipe", str(folder / "rl.toml")]
    assert main(words) == 1
    assert "rl has nothing to train on; give rl.task_files (--tasks)" in capsys.readouterr().err
    (folder / "rl.toml").write_text(RECIPE.replace("tasks.general = [2]", ""))
    assert main(words) == 1
    assert "no task is held out; give --tasks" in capsys.readouterr().err
    assert not (folder / "empty").exists()
    rows = (folder / "sum" / "tasks.jsonl").read_text().splitlines()
    (folder / "sum" / "tasks.jsonl").write_text("\n".join(row for row in rows if '"train"' in row) + "\n{}\n")
    assert main([*words[:2], "--tasks", str(folder / "sum" / "tasks.jsonl"), *words[2:]]) == 1
    assert "tasks.jsonl, line 4: a task's row lacks id" in capsys.readouterr().err
    assert main(["rl", str(folder / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_the_recipes_beside_the_package_can_be_read():
    rl = load_recipe(find_recipe("rl_general"), {"rl.from": "./m"}).stage("rl")
    assert rl.tasks["general"].difficulties == (1,)
    recipe = load_recipe(find_recipe("general"))
    check_tasks(recipe)
    assert recipe.text_bytes == load_recipe(find_recipe("tiny")).text_bytes
    # plain text has no tools in front: other words in a demonstration would be noise
    assert recipe.data["base"].conversations == recipe.data["long"].conversations == 1


@pytest.mark.parametrize("mix", ["base", "long", "chat"])
def test_the_general_recipe_shows_no_domain_that_it_asks_in(mix):
    data = load_recipe(find_recipe("general")).data[mix]
    drawn = drawn_tasks(data.tasks, 120, ("general", mix))
    families = {task.family for task in drawn if task.domain == "general"}
    assert families == set(TRAIN_DOMAINS)
    asked = held_out_tasks({"general": [1, 2]}, 40, 0)
    assert {task.family for task in asked} == set(HELDOUT_DOMAINS) and not families & set(HELDOUT_DOMAINS)


@pytest.mark.parametrize(("done", "longest"), [(0.0, 12), (0.5, 12), (0.9, 160)])
def test_copies_are_pieces_of_random_tokens_without_control_tokens(folder, done, longest):
    tokenizer = Tokenizer.from_pretrained(folder / "model")
    draw, rng = first_copies(tokenizer, done), random.Random(0)
    (separator,) = tokenizer.encode_text("\n")
    lengths, whole = set(), 0
    for _ in range(300):
        ids, learnt = (document := draw(rng)).token_ids, document.loss_mask
        assert not set(ids[1:]) & set(tokenizer.control_ids.values())
        source, copied = ids[1 : ids.index(separator)], ids[ids.index(separator) + 1 :]
        lengths.add(len(source))
        assert not any(learnt[: len(source) + 2])
        if all(learnt[len(source) + 2 :]):
            assert copied == source
            whole += 1
        else:
            assert copied[:3] in [source[at : at + 3] for at in range(len(source))]
            assert learnt.count(False) == len(source) + 2 + 3  # the first token of a piece cannot be known
    assert min(lengths) >= 3 and 0.7 * longest < max(lengths) <= longest
    assert whole == {0.0: 300, 0.9: 0}.get(done, whole) and (done != 0.5 or 100 < whole < 200)


def test_a_general_task_names_its_tools_in_one_line(folder):
    tokenizer = Tokenizer.from_pretrained(folder / "model")
    for part in ("base", "long"):
        mix = load_recipe(find_recipe("general")).data[part].model_copy(update={"copies": 0.0})
        draw, rng = demonstrations(tokenizer, mix), random.Random(0)
        for _ in range(20):
            asked, solved = tokenizer.decode(draw(rng).token_ids).split("<think>", 1)
            name = re.search(r'invoke name="(\w+)"', solved)
            assert name is not None and f'"{name[1]}"' in asked and "Tools: " in asked and len(asked) < 600


def test_phases_of_pretraining_that_do_not_fit_are_refused(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        'extends = "tiny"\n[[stage]]\nname = "pretrain"\nsteps = 100\ncopy_steps = 60\nextension_steps = 50\n'
    )
    with pytest.raises(UsageError, match=r"copy_steps \+ extension_steps is 110.*at most steps, 100"):
        load_recipe(recipe)
