"""The diagnosis and `baleen doctor`: every remark carries its remedy, and only what truly blocks makes it fail."""

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from baleen import diagnosis
from baleen.cli import doctor
from baleen.installation import install_command
from baleen.ops.cpu import build
from baleen.runs import machine


def test_it_runs_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json", "--out", str(tmp_path)]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert {"python", "packages", "torch", "kernels", "GPU", "cores", "memory", "disk", "sandbox"} <= set(
        checks
    )
    assert {"extra agents", "extra bench"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if check["state"] in ("warn", "fail"))
    doctor.main(["--out", str(tmp_path)])
    assert "Ready" in capsys.readouterr().out


def test_a_missing_package_fails() -> None:
    there, missing = diagnosis.check_packages({"numpy": "2.0", "tyro": None})
    assert there.value == "numpy 2.0" and there.state == "ok"
    assert (missing.name, missing.state) == ("tyro", "fail") and install_command() in missing.remedy


def test_the_packages_are_those_of_the_project() -> None:
    text = Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert {name_of(line) for line in project["dependencies"]} == set(machine.PACKAGES)
    for extra, names in machine.EXTRAS.items():
        assert {name_of(line) for line in project["optional-dependencies"][extra]} == set(names)


def name_of(requirement: str) -> str:
    return Requirement(requirement).name


def test_an_extra_that_is_not_there_is_no_fault() -> None:
    there, missing = diagnosis.check_extras(
        {"agents": {"openai": "2.0", "ipykernel": "7"}, "bench": {"gguf": None, "transformers": "5.0"}}
    )
    assert (there.state, there.value) == ("ok", "openai 2.0, ipykernel 7")
    assert missing.state == "off" and "without gguf;" in missing.value
    assert missing.value.endswith(install_command("bench"))


def test_kernels_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "load", lambda: (None, "they could not be compiled and loaded: no OpenMP"))
    check = diagnosis.check_kernels()
    assert check.state == "warn" and "could not be compiled" in check.value and "g++" in check.remedy


@pytest.mark.parametrize("out", ["/proc/x", "/dev/null", "/dev/null/runs"])
def test_where_nothing_can_be_written_it_is_not_ready(out: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Root has every permission there, and yet no folder can be made."""
    assert doctor.main(["--out", out]) == 1
    told = capsys.readouterr().out
    assert "cannot be written" in told and "--out" in told and "Ready" not in told


def test_a_look_at_the_disk_leaves_nothing(tmp_path: Path) -> None:
    assert diagnosis.check_disk(tmp_path / "not" / "yet").state == "ok"
    assert not list(tmp_path.iterdir())


def test_a_failure_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "package_versions", lambda names=(): {"tyro": None})
    assert doctor.main([]) == 1
    assert "missing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environment", "load", "remark"),
    [
        ({}, 0.1, None),
        ({}, 1.9, "OMP_WAIT_POLICY=passive"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, 1.9, None),
        ({"OMP_NUM_THREADS": "1"}, 1.9, None),
        ({"OMP_NUM_THREADS": "16"}, 0.1, "OMP_NUM_THREADS=2"),
    ],
)
def test_threads_on_a_busy_machine(environment: dict[str, str], load: float, remark: str | None) -> None:
    remedies = [
        check.remedy for check in diagnosis.check_cores(2, environment, load) if check.state == "warn"
    ]
    assert len(remedies) == (remark is not None)
    if remark:
        assert remark in remedies[0]


def test_memory_and_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnosis.check_memory(8 * 2**30, 16 * 2**30).state == "ok"
    assert diagnosis.check_memory(2**30, 16 * 2**30).state == "warn"
    assert diagnosis.check_memory(20 * 2**30, 2 * 2**30).state == "warn"  # a container's limit counts
    assert diagnosis.check_memory(None, None).value == "unknown"
    assert diagnosis.check_disk(tmp_path / "not" / "yet").state == "ok"
    monkeypatch.setattr(machine, "free_disk", lambda path: 2**20)
    assert diagnosis.check_disk(tmp_path).state == "warn"


def test_a_machine_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnosis.check_sandbox().state == "ok"
    monkeypatch.setenv("PATH", "")
    check = diagnosis.check_sandbox()
    assert check.state == "warn" and "bwrap" in check.value and "apt-get install bubblewrap" in check.remedy


def test_facts_of_the_machine() -> None:
    facts = machine.describe(seed=3, threads=2)
    assert facts["seed"] == 3 and facts["threads"] == 2 and facts["cores"] >= 1
    assert set(facts["packages"]) == set(machine.PACKAGES)
    assert machine.resident_memory() > 2**20
    total, available = machine.total_memory(), machine.available_memory()
    assert total is None or available is None or total > 0 < available
