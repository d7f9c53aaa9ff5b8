"""A study file, checked: what is wrong is said in sentences, and its digest names the run."""

from __future__ import annotations

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.config.reading.load import load_study, parse_study
from testbed.config.study import ConfigError, StudyConfig

MINIMAL = {
    "study": "matrix",
    "agents": [{"name": "a", "model": "scripted:random"}],
    "tasks": [{"environment": "Mastermind-v0"}],
}


def parse(**changes) -> StudyConfig:
    return parse_study({**copy.deepcopy(MINIMAL), **changes}, "study.toml")


def complaint(**changes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(**changes)
    return str(caught.value)


def test_defaults_are_those_of_the_paper():
    config = parse()
    assert (config.learning.epsilon_start, config.learning.epsilon_end) == (0.3, 0.05)
    assert config.skills.max_age == 8
    assert set(config.arms) == {"none", "seed", "self", "transfer", "random", "shuffled"}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"sed": 3}, ["sed: unknown key", "did you mean 'seed'?"]),
        ({"agent": []}, ["agent: unknown key", "did you mean 'agents'?"]),
        ({"zzz": 1}, ["zzz: unknown key", "known keys: study, seed"]),
        ({"study": "matrx"}, ["study: ", "'learn'", "got 'matrx'", "did you mean 'matrix'?"]),
        ({"seed": -1}, ["seed: ", "greater than or equal to 0", "got -1"]),
        ({"seed": "x"}, ["seed: ", "integer", "got 'x'"]),
        ({"arms": ["sed"]}, ["arms.0: ", "did you mean 'seed'?"]),
        ({"arms": []}, ["arms: ", "at least 1"]),
        ({"agents": []}, ["agents: ", "at least 1"]),
        ({"agents": {"name": "a"}}, ["agents: ", "valid list"]),
        ({"agents": [{"name": "a", "mdel": "m"}]}, ["agents.0.mdel: unknown key", "'model'", "agents.0.model: Field"]),
        ({"agents": [{"name": "a b", "model": "m"}]}, ["agents.0.name: ", "got 'a b'"]),
        ({"agents": [{"name": "a", "model": "m"}] * 2}, ["agents: 'a' stands there twice"]),
        ({"tasks": [{"environment": "x"}] * 2}, ["tasks: 'x' stands there twice"]),
        ({"learning": {"iteration": 3}}, ["learning.iteration: unknown key", "'iterations'"]),
        ({"learning": {"preset": "papr"}}, ["learning.preset: ", "did you mean 'paper'?"]),
        ({"learning": {"evolver": "zed"}}, ["learning.evolver: no agent is named 'zed'"]),
        ({"learning": {"evolver": {"name": "a", "model": "m"}}}, ["learning.evolver: 'a' plays"]),
        ({"learning": {"evolver": {"name": "z", "mdel": "m"}}}, ["mdel: unknown key", "'model'"]),
        ({"learning": {"epsilon_start": 1.5}}, ["learning.epsilon_start: ", "less than or equal to 1"]),
        ({"skills": {"selectr": "x"}}, ["skills.selectr: unknown key", "'selector'"]),
        ({"concurrency": 0}, ["concurrency: ", "greater than or equal to 1"]),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(changes, parts):
    said = complaint(**changes)
    assert all(part in said for part in parts), said
    assert all(line.startswith("study.toml: ") for line in said.splitlines())
    assert "pydantic" not in said


def test_one_mistake_is_one_line():
    assert len(complaint(agents=[{"name": "a", "model": "m", "contxt": 9}]).splitlines()) == 1


def test_a_single_server_may_be_written_without_its_list():
    agent = {"name": "a", "model": "m", "base_url": "http://one/v1"}
    assert parse(agents=[agent]).agents[0].base_url == ("http://one/v1",)


def test_the_digest_is_the_same_in_every_process():
    """A golden value: whoever changes it makes every run directory of before unreachable."""
    assert parse(seed=7).digest == "f0253cba"


def test_the_digest_tells_apart_what_changes_a_result_and_nothing_else():
    def served(*urls):
        return parse(agents=[{"name": "a", "model": "m", "base_url": urls}]).digest

    assert parse().digest == parse(concurrency=3).digest
    assert served("http://one/v1") == served("http://two/v1", "http://three/v1")
    assert served("http://one/v1") != served()
    digests = [
        parse(**changes).digest
        for changes in (
            {},
            {"seed": 1},
            {"learning_runs": 4},
            {"arms": ["none"]},
            {"skills": {"max_age": 7}},
            {"learning": {"choices": {"gate": "none"}}},
            {"tasks": [{"environment": "Mastermind-v0", "opponent": "a"}]},
        )
    ]
    assert len(set(digests)) == len(digests)


def test_when_too_much_has_failed_is_no_part_of_the_digest():
    assert parse(fail_at=3).digest == parse(fail_at=0.1).digest == parse().digest
    assert "fail_at: 2.5 is neither a number of episodes nor a share below 1" in complaint(fail_at=2.5)
    assert "fail_at: " in complaint(fail_at=0)


def test_a_population_is_named_as_before_there_were_choices_that_mean_the_same():
    """Golden values; and one maintenance rules learning and exchange, the learner's where a policy names none."""

    def population(learning=None, **changes):
        policy = {"exchange": "ring", **changes.pop("policy", {})}
        return parse(study="population", learning=learning or {}, population={"policies": [policy], **changes})

    plain = population()
    assert plain.digest == population(policy={"maintenance": "always"}).digest == "86f7007a"
    assert plain.maintenance_of(plain.population.policies[0]) == "always"
    assert population(on_outage="leave").digest != plain.digest
    fifo = population(policy={"maintenance": "fifo"})
    assert fifo.maintenance_of(fifo.population.policies[0]) == "fifo"
    bound = population({"choices": {"maintenance": "lower-bound"}})
    released = population({"preset": "as-released"})
    for each in (bound, released):
        assert each.maintenance_of(each.population.policies[0]) == "lower-bound"
    again = parse_study(json.loads(bound.model_dump_json()), "again")
    assert (again, again.digest) == (bound, bound.digest)


def test_a_resolved_study_reads_back_as_itself():
    config = parse(seed=3, skills={"max_age": 2}, learning={"choices": {"a": [1, 2.5, "x"]}})
    again = parse_study(json.loads(config.model_dump_json()), "again")
    assert again == config
    assert again.digest == config.digest


# -- files and --set ----------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'study = "matrix"\nseed = 7\n[[agents]]\nname = "a"\nmodel = "m"\n[[tasks]]\nenvironment = "Mastermind-v0"\n'
    )
    return path


def written(path, content: bytes) -> str:
    """The digest of a study file with this content, or what is wrong with it."""
    path.write_bytes(content)
    try:
        return load_study(path).digest
    except ConfigError as error:
        return str(error)


def test_a_file_written_on_windows_is_the_same_study(file):
    text = file.read_text()
    digest = load_study(file).digest
    lines = text.replace("\n", "\r\n")
    for content in (
        lines.encode(),
        lines.encode("utf-8-sig"),
        lines.encode("utf-16"),
        text.encode("utf-8-sig"),
        text.replace("\n", "\r").encode(),
    ):
        assert written(file, content) == digest


@pytest.mark.parametrize("path", [r"C:\models\x", r"C:\users\x", r".\zoo", r"\\server\x"])
def test_a_windows_path_in_double_quotes_is_explained(file, path):
    text = file.read_text()
    said = written(file, text.replace('"m"', f'"{path}"').encode())
    assert path.startswith("\\\\") or said.endswith(r"write a path as 'C:\models' in single quotes, or with /")
    assert len(written(file, text.replace('"m"', f"'{path}'").encode())) == 8


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("x = " + "[" * 500, "nested too deeply"),
        ("x = " + "[" * 60 + "]" * 60, "nested too deeply"),
        (".".join("a" * 200) + " = 1", "nested too deeply"),
        ("x = " + "{a=" * 400 + "1" + "}" * 400, "nested too deeply"),
        ("x = " + "1" * 5000, "too many digits"),
        ("x = 0x" + "f" * 9000, "more than 63 bits"),
        ("x = nan", "write a finite number"),
        ("x = 'a\0b'", "not readable as TOML"),
        ("#" + "x" * (1 << 20), "larger than 1048576 bytes"),
    ],
)
def test_what_python_cannot_bear_is_a_sentence(file, line, part):
    said = written(file, (line + "\n" + file.read_text()).encode())
    assert part in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "override", ["seed=" + "1" * 5000, "seed=0x" + "f" * 5000, "x=" + "[" * 5000, "a." * 500 + "b=1"]
)
def test_so_it_is_in_set(file, override):
    with pytest.raises(ConfigError):
        load_study(file, [override])


def test_set_changes_any_place(file):
    config = load_study(
        file,
        [
            "seed=9",
            "learning.iterations=2",
            "agents.0.model=scripted:random",
            "agents.0.base_url=http://x/v1",
            'arms=["none", "self"]',
            "learning.choices.gate = off",
        ],
    )
    assert (config.seed, config.learning.iterations, config.arms) == (9, 2, ("none", "self"))
    assert config.agents[0].model == "scripted:random"
    assert config.agents[0].base_url == ("http://x/v1",)
    assert config.learning.choices["gate"] == " off"


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("seed", "write it as key=value"),
        ("=3", "write it as key=value"),
        ("seed.x=1", "no such place"),
        ("agents.5.name=x", "no such place"),
        ("agents.name=x", "no such place"),
        ("agents.0.name.x=1", "no such place"),
        ("agents.9=1", "no such place"),
        ("sed=1", "did you mean 'seed'?"),
        ("learning.iterations=many", "got 'many'"),
    ],
)
def test_a_mistake_in_set_is_said(file, override, part):
    with pytest.raises(ConfigError, match=r"--set|study\.toml") as caught:
        load_study(file, [override])
    assert part in str(caught.value)


@given(st.text(max_size=30), st.text(max_size=10))
def test_no_override_ends_in_a_traceback(key, value):
    from testbed.config.reading.toml import override_with

    data = copy.deepcopy(MINIMAL)
    with contextlib.suppress(ConfigError):
        override_with(data, f"{key}={value}")
        assert isinstance(parse_study(data, "study.toml"), StudyConfig)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = st.sampled_from([*StudyConfig.model_fields, "other"])


@given(st.dictionaries(PLACES, JSON, max_size=4))
def test_no_study_ends_in_a_traceback(changes):
    with contextlib.suppress(ConfigError):
        assert parse(**changes).digest


def test_files_that_are_no_study(tmp_path):
    def said(path) -> str:
        with pytest.raises(ConfigError) as caught:
            load_study(path)
        return str(caught.value)

    assert "there is no such file" in said(tmp_path / "absent.toml")
    assert "not readable" in said(tmp_path)
    broken = tmp_path / "broken.toml"
    broken.write_text("study = matrix")
    assert "not readable as TOML" in said(broken)
    broken.write_bytes(b"\xff\xfe\x00")
    assert "not readable as TOML" in said(broken)
