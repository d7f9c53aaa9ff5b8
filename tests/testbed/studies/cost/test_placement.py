"""What stands where, and what is said of what fits nowhere."""

from __future__ import annotations

import pytest

from testbed.config.study import ConfigError
from testbed.studies.cost.fleet_file import FleetFile, load_fleet
from testbed.studies.cost.placement import place

GPUS = "gpus = [{ count = 1, memory = 80 }]\n"


def fleet(*models: dict, count: int = 1, memory: float = 80) -> FleetFile:
    common = {"weights": 16, "prompt": 1000, "decode": {1: 10}}
    return FleetFile.model_validate(
        {"gpus": [{"count": count, "memory": memory}], "models": [common | each for each in models]}
    )


def test_free_gpus_go_to_whoever_has_most_to_do_for_each_copy():
    sites = place(fleet({"model": "a"}, {"model": "b"}, count=8), {"a": 300.0, "b": 100.0})
    assert sorted(name for site in sites for name in site.models) == ["a"] * 6 + ["b"] * 2
    capped = place(fleet({"model": "a", "copies": 2}, {"model": "b"}, count=8), {"a": 300.0, "b": 100.0})
    assert sorted(name for site in capped for name in site.models) == ["a"] * 2 + ["b"] * 6
    assert not any(site.takes_turns for site in sites)


def test_a_model_of_several_gpus_takes_whole_ones():
    sites = place(
        fleet({"model": "large", "weights": 140, "tensor_parallel": 4}, {"model": "small"}, count=5),
        {"large": 1, "small": 1},
    )
    assert [len(site.gpus) for site in sites] == [4, 1]
    assert sorted(gpu for site in sites for gpu in site.gpus) == [0, 1, 2, 3, 4]


def test_models_that_do_not_fit_together_take_turns():
    [crowded] = place(fleet({"model": "a", "weights": 40}, {"model": "b", "weights": 40}), {"a": 1.0, "b": 1.0})
    assert crowded.takes_turns
    [roomy] = place(fleet({"model": "a"}, {"model": "b"}), {"a": 1.0, "b": 1.0})
    assert not roomy.takes_turns


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"weights": 140}, r"large fits on no GPU of the fleet: it needs 142.0 GiB of each .* raise tensor_parallel"),
        ({"weights": 140, "tensor_parallel": 4}, "large has tensor_parallel = 4, and the fleet has 2 GPUs"),
    ],
)
def test_what_fits_nowhere_is_said(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        place(fleet({"model": "large"} | model, count=2), {"large": 1.0})


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "gpus: Field required"),
        (
            GPUS + "models = [{ model = 'm', weight = 1, prompt = 1, decode = { 1 = 1 } }]",
            "weights",
        ),
        (
            GPUS + "models = [{ model = 'm', weights = 1, prompt = 1, decode = { 0 = 1 } }]",
            "smallest is 1",
        ),
        ("gpus = [{ count = 1, memory = nan }]\nmodels = []", "memory"),
        ("gpus = 3 3", "not readable as TOML"),
    ],
)
def test_a_fleet_that_is_none_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "fleet.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence) as raised:
        load_fleet(tmp_path / "fleet.toml")
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path))
