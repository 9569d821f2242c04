"""The options of a model behind an address: which go together, what is kept, where the key comes from."""

import pytest

from baleen.cli.model_options import ModelOptions
from baleen.config import UsageError

HERE = "http://127.0.0.1:9/v1"


def test_without_an_address_there_is_no_model() -> None:
    assert ModelOptions().open() is None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "m"}, "--model needs --base-url"),
        ({"max_cost": 1.0}, "--max-cost needs --base-url"),
        ({"base_url": HERE}, "--base-url needs --model"),
        ({"base_url": HERE, "model": "m", "max_cost": 1.0}, "--price-input and --price-output"),
        ({"base_url": HERE, "model": "m", "price_input": 1.0}, "go together"),
        ({"base_url": HERE, "model": "m", "max_cost": -1.0}, "must be 0 or more"),
        ({"base_url": HERE, "model": "m", "max_answer_tokens": 0}, "must be above 0"),
        ({"base_url": HERE, "model": "m", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
    ],
)
def test_options_that_do_not_go_together(options: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        ModelOptions(**options).open()


def test_a_model_with_its_price_and_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_A_TEST", "sk-secret")
    listed = ModelOptions(base_url=HERE, model="deepseek-v3.2", api_key_env="KEY_OF_A_TEST", max_cost=2.0)
    model = listed.open()
    assert model is not None and model.name == "deepseek-v3.2" and model.meter.max_dollars == 2.0
    assert "sk-secret" not in repr(listed) + str(listed.settings()) + str(vars(listed))
    assert listed._pricing()(1_000_000, 0, 0) == pytest.approx(0.28)
    own = ModelOptions(base_url=HERE, model="m", price_input=1.0, price_output=3.0)
    assert own._pricing()(1_000_000, 500_000, 1_000_000) == pytest.approx(4.0)
    assert ModelOptions(base_url=HERE, model="m")._pricing()(10, 0, 10) == 0.0
