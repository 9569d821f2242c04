"""`baleen doctor`: every remark carries its remedy, and only what truly blocks makes it fail."""

import json
from pathlib import Path

import pytest

from baleen.cli import doctor, machine


def test_it_runs_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--json", "--out", str(tmp_path)]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert {"python", "packages", "torch", "cores", "memory", "disk", "sandbox"} <= set(checks)
    assert all(check["remedy"] for check in checks.values() if check["state"] != "ok")
    doctor.main(["--out", str(tmp_path)])
    assert "Ready" in capsys.readouterr().out


def test_a_missing_package_fails() -> None:
    there, missing = doctor.check_packages({"numpy": "2.0", "tyro": None})
    assert there.value == "numpy 2.0" and there.state == "ok"
    assert (missing.name, missing.state) == ("tyro", "fail") and "make setup" in missing.remedy


def test_a_failure_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "package_versions", lambda: {"tyro": None})
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
    remedies = [check.remedy for check in doctor.check_cores(2, environment, load) if check.state == "warn"]
    assert len(remedies) == (remark is not None)
    if remark:
        assert remark in remedies[0]


def test_memory_and_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_memory(8 * 2**30, 16 * 2**30).state == "ok"
    assert doctor.check_memory(2**30, 16 * 2**30).state == "warn"
    assert doctor.check_memory(20 * 2**30, 2 * 2**30).state == "warn"  # a container's limit counts
    assert doctor.check_memory(None, None).value == "unknown"
    assert doctor.check_disk(tmp_path / "not" / "yet").state == "ok"
    monkeypatch.setattr(machine, "free_disk", lambda path: 2**20)
    assert doctor.check_disk(tmp_path).state == "warn"


def test_a_machine_without_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.check_sandbox().state == "ok"
    monkeypatch.setenv("PATH", "")
    check = doctor.check_sandbox()
    assert check.state == "warn" and "bwrap" in check.value and "apt-get install bubblewrap" in check.remedy


def test_facts_of_the_machine() -> None:
    facts = machine.describe(seed=3, threads=2)
    assert facts["seed"] == 3 and facts["threads"] == 2 and facts["cores"] >= 1
    assert set(facts["packages"]) == set(machine.PACKAGES)
    assert machine.resident_memory() > 2**20
    total, available = machine.total_memory(), machine.available_memory()
    assert total is None or available is None or total > 0 < available
