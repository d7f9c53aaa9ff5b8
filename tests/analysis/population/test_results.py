"""A population's measures against truths worked out by hand, and its report against hostile text."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from analysis.population.adoption import adoptions, contributions, curves, members_playing, spread, with_source
from analysis.population.contagion import contagion, contagion_table, damage, infections, scan_table
from analysis.population.contributions import role_effects, roles
from analysis.population.diversity import diversity, entropy
from analysis.population.ratings import bradley_terry, duels, ratings
from analysis.population.results import analyse_population, contrasts, reference, warnings
from analysis.population.rounds import advantage, courses, round_table
from analysis.report.sections.population import population_sections
from analysis.statistics.bootstrap import Resampler
from analysis.tables.population import DEEDS, HOLDINGS, MEMBERS, PLAYS, POLICIES, SEATS, SKILLS, USES, PopulationTables
from analysis.tables.schema import TableError

LIFE = {"arm": "ring", "task": "t", "learning_run": 0}
NAMES = ("a", "b", "c", "d")


def resampler() -> Resampler:
    return Resampler(np.random.default_rng(0), 500)


def frame(rows, columns) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[column.name for column in columns])


def annals(**changes) -> PopulationTables:
    """One population of four under "ring" for four rounds.

    Everybody holds the seed "s". In round 1, a makes "x" and gives it to b; in 2, b gives it to c, in 3 c to d; a drops
    it in round 4. A poison "p" is planted on d before round 2, given to a in round 2, gone from both in round 4.
    """
    held = {1: {"a": "sx", "b": "sx", "c": "s", "d": "s"}, 2: {"a": "sxp", "b": "sx", "c": "sx", "d": "sp"}}
    held |= {3: {"a": "sxp", "b": "sx", "c": "sx", "d": "sxp"}, 4: {"a": "s", "b": "sx", "c": "sx", "d": "sx"}}
    deeds = [
        (1, "a", "admitted", "x", None, None),
        (1, "b", "gift", "x", "a", None),
        (1, "b", "admitted", "x", "a", None),
        (2, "d", "planted", "p", None, None),
        (2, "c", "gift", "x", "b", None),
        (2, "c", "admitted", "x", "b", None),
        (2, "a", "gift", "p", "d", None),
        (2, "a", "admitted", "p", "d", None),
        (2, "b", "gift", "p", "d", None),
        (2, "b", "verdict", "p", "d", "rejected"),
        (3, "d", "gift", "x", "c", None),
        (3, "d", "admitted", "x", "c", None),
        (4, "a", "pruned", "x", None, None),
        (4, "a", "pruned", "p", None, None),
        (4, "d", "pruned", "p", None, None),
    ]
    skills = [("s", None, None, ""), ("x", "a", None, "s"), ("p", "d", "over-wide", "x")]
    tables = {
        "policies": frame([("ring", "ring", "trust", "always", "over-wide", 2, None)], POLICIES),
        "members": frame([(name, "kind", "model") for name in NAMES], MEMBERS),
        "plays": frame(
            [
                {**LIFE, "round": round, "agent": name, "episode": 0, "return": 0.1 * round, "solved": False}
                | {"invalid": 0, "steps": 4, "skill_steps": 2}
                for round in held
                for name in NAMES
            ],
            PLAYS,
        ),
        "uses": frame(
            [{**LIFE, "round": 2, "agent": name, "unit": unit, "calls": calls} for name, unit, calls in
             (("a", "x", 2), ("b", "x", 3), ("c", "s", 4), ("d", "p", 1))],
            USES,
        ),
        "holdings": frame(
            [{**LIFE, "round": round, "agent": name, "unit": unit} for round, pools in held.items()
             for name, pool in pools.items() for unit in pool],
            HOLDINGS,
        ),
        "deeds": frame(
            [{**LIFE, "round": round, "order": order, "agent": agent, "kind": kind, "unit": unit, "giver": giver,
              "outcome": outcome} for order, (round, agent, kind, unit, giver, outcome) in enumerate(deeds)],
            DEEDS,
        ),
        "skills": frame(
            [{**LIFE, "unit": unit, "name": unit, "author": author, "poison": poison, "parents": parents,
              "words": f"words of {unit}", "signs": "never lets go" if poison else "", "traces": ""}
             for unit, author, poison, parents in skills],
            SKILLS,
        ),
        "seats": frame([], SEATS),
    }  # fmt: skip
    return PopulationTables.of(**{**tables, **changes})


def test_a_members_own_rejected_candidates_are_no_gifts_turned_away():
    one = annals()
    own = one.deeds[one.deeds["kind"] == "verdict"].assign(agent="a", giver=None, order=[99], unit="y")
    found = courses(annals(deeds=pd.concat([one.deeds, own, own.assign(order=100)])))
    assert found.set_index("round")["turned_away"].to_dict() == {1: 0, 2: 1, 3: 0, 4: 0}


def copies(one: PopulationTables, **arms: float) -> PopulationTables:
    """The same population under several arms and in three replicates, returns shifted by the given amounts."""
    parts = {}
    for name in ("plays", "uses", "holdings", "deeds", "skills"):
        table = getattr(one, name)
        shifted = [
            _shifted(table.assign(arm=arm, learning_run=run), shift + 0.01 * run)
            for arm, shift in arms.items()
            for run in range(3)
        ]
        parts[name] = pd.concat(shifted, ignore_index=True)
    exchange = {arm: "isolated" if arm == "isolated" else "ring" for arm in arms}
    rows = [
        (arm, exchange[arm], "trust", "always", "over-wide" if "poison" in arm else None,
         2 if "poison" in arm else None, "ring" if "poison" in arm else None)
        for arm in arms
    ]  # fmt: skip
    return PopulationTables.of(policies=frame(rows, POLICIES), members=one.members, seats=one.seats, **parts)


def _shifted(table: pd.DataFrame, shift: float) -> pd.DataFrame:
    return table.assign(**{"return": table["return"] + shift}) if "return" in table else table


# -- adoption --------------------------------------------------------------------------------------------------------


def test_adoption_curve_of_a_chain():
    seen = curves(annals()).set_index(["unit", "round"])
    assert list(seen.loc["x", "holders"]) == [2, 3, 4, 3]
    assert list(seen.loc["x", "share"]) == [0.5, 0.75, 1.0, 0.75]
    assert list(seen.loc["x", "age"]) == [0, 1, 2, 3]
    assert list(seen.loc["x", "users"]) == [0, 2, 0, 0]
    assert list(seen.loc["x", "foreign"]) == [0, 1, 0, 0]
    assert list(seen.loc["p", "holders"]) == [2, 2, 0]
    assert "s" not in seen.index.get_level_values("unit")


def test_half_time_and_reproduction():
    table = spread(annals()).set_index("unit")
    assert (table.loc["x", "born"], table.loc["x", "half"], table.loc["x", "peak"]) == (1, 0, 1.0)
    assert (table.loc["x", "gifts"], table.loc["x", "adopters"], table.loc["x", "first"]) == (3, 3, 1)
    assert table.loc["x", "reproduction"] == 1.0  # a → b, b → c: two adopters of two early holders
    assert table.loc["p", "reproduction"] == 0.5  # d → a, who gave it to nobody
    given_ = adoptions(annals()).set_index(["unit", "agent"])
    assert list(given_.loc["x", "generation"]) == [1, 2, 3]
    assert given_.loc[("p", "a"), "generation"] == 1


def test_a_star_has_a_large_reproduction_number():
    deeds = [{**LIFE, "round": 1, "order": place, "agent": name, "kind": "admitted", "unit": "x", "giver": "a"}
             for place, name in enumerate("bcd")]  # fmt: skip
    table = spread(annals(deeds=frame(deeds, DEEDS))).set_index("unit")
    assert table.loc["x", "reproduction"] == 3 / 4  # a gave to three, and those three to nobody


def test_whose_skill_was_used():
    found = with_source(annals(), annals().uses).set_index("agent")["source"]
    assert dict(found) == {"a": "own", "b": "given", "c": "seed", "d": "own"}
    table = contributions(annals()).set_index("agent")
    assert list(table["authored"]) == [1, 0, 0, 1]
    assert list(table["adopted"]) == [3, 0, 0, 1]
    assert list(table["passed"]) == [1, 1, 1, 1]
    assert list(table["received"]) == [1, 1, 1, 1]
    assert list(table["degree"]) == [2, 2, 2, 2]
    assert table.loc["b", "given_calls"] == 3
    assert table.loc["c", "seed_calls"] == 4


def test_who_left_counts_no_more():
    lost = {**LIFE, "round": 3, "order": 99, "agent": "d", "kind": "lost", "why": "its model died"}
    deeds = pd.concat([annals().deeds, frame([lost], DEEDS)])
    found = annals(deeds=deeds)
    assert members_playing(found).groupby("round").size().to_dict() == {1: 4, 2: 4, 3: 3, 4: 3}
    assert curves(found).set_index(["unit", "round"]).loc[("x", 3), "share"] == 1.0
    assert warnings(found) == ("d left ring / t / run 0 in round 3, and the others went on: its model died",)


# -- diversity -------------------------------------------------------------------------------------------------------


def test_diversity_by_hand():
    table = diversity(annals()).set_index("round")
    assert table.loc[1, "skills"] == 2
    assert table.loc[1, "entropy"] == pytest.approx(entropy(np.array([4.0, 2.0])))
    pools = [{"s", "x"}, {"s", "x"}, {"s"}, {"s"}]
    pairs = [(i, j) for i in range(4) for j in range(4) if i < j]
    expected = np.mean([len(pools[i] & pools[j]) / len(pools[i] | pools[j]) for i, j in pairs])
    assert table.loc[1, "overlap"] == pytest.approx(expected)
    texts = {"s": {"words", "of", "s"}, "x": {"words", "of", "x"}}
    cosine = {(u, v): len(texts[u] & texts[v]) / 3 for u in texts for v in texts}
    mean = np.mean([np.mean([1 - cosine[u, v] for u in pools[i] for v in pools[j]]) for i, j in pairs])
    assert table.loc[1, "distance"] == pytest.approx(mean)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9))
def test_entropy_is_between_none_and_that_of_equals(counts):
    bits = entropy(np.array(counts, float))
    assert -1e-12 <= bits <= np.log2(len(counts)) + 1e-12


def test_everybody_alike_is_homogenised():
    same = [{**LIFE, "round": 1, "agent": name, "unit": unit} for name in NAMES for unit in "sx"]
    row = diversity(annals(holdings=frame(same, HOLDINGS))).iloc[0]
    assert (row["overlap"], row["evenness"]) == (1.0, 1.0)


# -- rounds and contrasts --------------------------------------------------------------------------------------------


def test_courses_and_what_sharing_was_worth():
    many = copies(annals(), isolated=0.0, ring=0.25)
    course = courses(many)
    first = course[(course["arm"] == "ring") & (course["round"] == 2)].iloc[0]
    assert (first["gifts"], first["let_in"], first["turned_away"], first["pruned"]) == (3, 2, 1, 0)
    assert first["per_step"] == 0.5
    assert first["given_share"] == 3 / 10
    table = round_table(many, resampler())
    assert list(table["arm"].unique()) == ["isolated", "ring"]
    assert set(table["n"]) == {3}
    assert ((table["return_low"] < table["return"]) & (table["return"] < table["return_high"])).all()
    worth = advantage(many, resampler(), "isolated")
    assert np.allclose(worth["difference"], 0.25)
    assert advantage(annals(), resampler(), "isolated").empty


def test_declared_contrasts():
    many = copies(annals(), isolated=0.0, ring=0.25, **{"ring + poison": 0.1})
    assert reference(many.policies) == "isolated"
    assert [(each.treatment, each.reference) for each in contrasts(many.policies)] == [
        ("ring", "isolated"),
        ("ring + poison", "ring"),
    ]
    assert contrasts(annals().policies) == ()


# -- contagion -------------------------------------------------------------------------------------------------------


def test_contagion_by_hand():
    row = contagion(annals()).iloc[0]
    assert (row["unit"], row["author"], row["planted"], row["poison"]) == ("p", "d", 2, "over-wide")
    assert (row["peak"], row["adopters"], row["stopped"], row["member_rounds"], row["calls"]) == (0.5, 1, 1, 4, 1)
    assert row["removal"] == 2
    assert np.isnan(row["damage"])
    assert list(infections(annals())["holders"]) == [2, 2, 0]


def test_a_poison_that_stays_is_never_removed():
    still = annals()
    holdings = pd.concat([still.holdings, frame([{**LIFE, "round": 4, "agent": "d", "unit": "p"}], HOLDINGS)])
    row = contagion(annals(holdings=holdings)).iloc[0]
    assert np.isnan(row["removal"])
    table = contagion_table(annals(holdings=holdings), resampler())
    assert (table.loc[0, "populations"], table.loc[0, "cleared"]) == (1, 0)


def test_heirs_are_counted():
    skills = annals().skills
    heir = skills[skills["unit"] == "p"].assign(unit="q", name="q", parents="p", poison=None)
    holdings = pd.concat([annals().holdings, frame([{**LIFE, "round": 4, "agent": "b", "unit": "q"}], HOLDINGS)])
    assert contagion(annals(skills=pd.concat([skills, heir]), holdings=holdings)).iloc[0]["heirs"] == 1


def test_damage_is_paired_with_the_same_replicate_without_poison():
    many = copies(annals(), ring=0.25, **{"ring + poison": 0.1})
    lost = damage(many)
    assert set(lost["arm"]) == {"ring + poison"}
    assert list(lost["since"].unique()) == [0, 1, 2]
    assert np.allclose(lost["damage"], -0.15)
    table = contagion_table(many, resampler()).set_index("arm")
    assert table.loc["ring + poison", "damage"] == pytest.approx(-0.15)


def test_the_scan_is_scored():
    table = scan_table(annals()).set_index("what")
    assert list(table.loc["words", ["poisons", "found", "others", "alarms"]]) == [1, 1, 2, 0]
    assert table.loc["traces", "sensitivity"] == 0.0


# -- roles -----------------------------------------------------------------------------------------------------------


def test_a_hub_and_free_riders():
    """One gives to all and earns less; the more is taken, the more is gained."""
    rows, plays = [], []
    for run in range(3):
        life = {"arm": "star", "task": "t", "learning_run": run}
        for place, name in enumerate(NAMES):
            earned = 0.5 if name == "a" else 0.6 + 0.1 * place + 0.01 * run
            for arm, value in (("star", earned), ("isolated", 0.5)):
                row = {**life, "arm": arm, "round": 1, "agent": name, "episode": 0, "return": value}
                plays.append(row | {"steps": 1, "skill_steps": 0, "invalid": 0, "solved": 0})
            for gift in range(place):
                unit = f"u{run}{name}{gift}"
                rows.append({**life, "round": 1, "order": len(rows), "agent": name, "kind": "admitted", "unit": unit,
                             "giver": "a"})  # fmt: skip
    skills = [{**LIFE, **{key: row[key] for key in LIFE}, "unit": row["unit"], "name": "n", "author": "a", "words": "w"}
              for row in rows]  # fmt: skip
    holdings = [{**{key: play[key] for key in LIFE}, "round": 1, "agent": play["agent"], "unit": "s"} for play in plays]
    policies = [("isolated", "isolated", "trust", "always", None, None, None)]
    policies.append(("star", "star", "trust", "always", None, None, None))
    found = annals(
        policies=frame(policies, POLICIES), plays=frame(plays, PLAYS), uses=frame([], USES),
        holdings=frame(holdings, HOLDINGS), deeds=frame(rows, DEEDS), skills=frame(skills, SKILLS),
    )  # fmt: skip
    table = roles(found).set_index(["arm", "learning_run", "agent"])
    assert table.loc[("star", 0, "d"), "gain"] == pytest.approx(0.4)
    effects = role_effects(found, resampler()).set_index("effect")
    assert set(effects["arm"]) == {"star"}
    assert effects.loc["taking", "estimate"] == pytest.approx(1.0)
    assert effects.loc["hub", "estimate"] == pytest.approx(0.5 - np.mean([0.7, 0.8, 0.9]) - 0.01)
    assert effects.loc["free_riding", "estimate"] == pytest.approx(np.mean([0.7, 0.8, 0.9]) + 0.01 - 0.5)


# -- ratings ---------------------------------------------------------------------------------------------------------


@given(st.integers(2, 5), st.integers(0, 50))
@settings(deadline=None, max_examples=20)
def test_bradley_terry_against_a_general_optimiser(players, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, players, 40)
    second = (first + rng.integers(1, players, 40)) % players
    score = rng.choice([0.0, 0.5, 1.0], 40)

    def loss(strengths):
        margin = strengths[first] - strengths[second]
        played = score * np.log1p(np.exp(-margin)) + (1 - score) * np.log1p(np.exp(margin))
        prior = 0.5 * np.log1p(np.exp(-strengths)) + 0.5 * np.log1p(np.exp(strengths))
        return played.sum() + prior.sum()

    found = minimize(loss, np.zeros(players), method="BFGS", options={"gtol": 1e-9}).x
    ours = bradley_terry(first, second, score, players)
    assert np.allclose(ours, found - found.mean(), atol=1e-4)


def test_bradley_terry_finds_the_truth_and_survives_a_clean_sweep():
    rng = np.random.default_rng(1)
    truth = np.array([1.0, 0.2, -0.3, -0.9])
    first = rng.integers(0, 4, 20_000)
    second = (first + rng.integers(1, 4, 20_000)) % 4
    score = (rng.random(20_000) < 1 / (1 + np.exp(truth[second] - truth[first]))).astype(float)
    assert np.allclose(bradley_terry(first, second, score, 4), truth, atol=0.06)
    swept = bradley_terry(np.zeros(9, np.int64), np.ones(9, np.int64), np.ones(9), 2)
    assert np.isfinite(swept).all()
    assert swept[0] > 1


def test_ratings_of_a_league():
    """In three replicates, a beats everybody, b beats c, c and d draw: each pair meets twice, seats swapped."""
    strength = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 1.0}
    rows = []
    for run in range(3):
        for one in NAMES:
            for other in NAMES:
                if one != other:
                    for seat, name in enumerate((one, other)):
                        row = {**LIFE, "learning_run": run, "game": f"{run}{one}{other}", "env_seed": 1, "seat": seat}
                        rows.append(row | {"agent": name, "focal": name == one, "return": strength[name]})
    found = annals(seats=frame(rows, SEATS))
    met = duels(found.seats)
    assert len(met) == 3 * 12
    table = ratings(found, resampler()).set_index("agent")
    assert list(table.loc["a", ["games", "wins", "draws", "losses"]]) == [18, 18, 0, 0]
    assert list(table.loc["c", ["games", "wins", "draws", "losses"]]) == [18, 0, 6, 12]
    assert table["elo"].mean() == pytest.approx(1500)
    assert table.loc["a", "elo"] > table.loc["b", "elo"] > table.loc["c", "elo"] == pytest.approx(table.loc["d", "elo"])
    assert "no interval" in table.loc["a", "method"]  # all replicates alike
    assert ratings(annals(), resampler()).empty


# -- the report ------------------------------------------------------------------------------------------------------

HOSTILE = "</script><script>alert(1)</script>{{7*7}} <img src=x onerror=alert(1)>"


def test_the_sections_hold_every_table_and_chart():
    many = copies(annals(), isolated=0.0, ring=0.25, **{"ring + poison": 0.1})
    many = PopulationTables.of(**{**vars(many), "skills": many.skills.assign(name=HOSTILE, words=HOSTILE)})
    found = analyse_population(many, resampler())
    sections = population_sections(many, found)
    assert [section.id for section in sections] == ["population", "rounds", "exchange", "roles", "contagion"]
    charts = [chart for section in sections for chart in section.charts]
    assert {
        "rounds",
        "advantage",
        "diversity",
        "network",
        "adoption",
        "waiting",
        "origins",
        "timeline",
        "contagion",
    } == {chart.id for chart in charts}
    for chart in charts:
        specification = chart.chart().to_dict()
        assert "datasets" in specification
        json.dumps(specification)
        assert '"expr"' not in json.dumps(specification)
    for section in sections:
        for table in section.tables:
            assert all(len(row) == len(table.header) for row in table.rows)
            assert all(isinstance(value, str) for row in table.rows for value in row)
    assert all(isinstance(frame, pd.DataFrame) and len(frame) for frame in found.frames().values())


def test_the_summary_says_what_is_there():
    said = analyse_population(annals(), resampler()).summary
    assert said[0] == "4 members lived 4 rounds under 1 policies, in 1 populations."
    assert any("the planted skill was held by at most 50% of the members" in each for each in said)


def test_a_bad_table_is_refused_in_one_sentence():
    with pytest.raises(TableError, match="The holdings table lacks the column 'unit'"):
        annals(holdings=annals().holdings.drop(columns="unit"))


def test_intervals_keep_to_the_reward_range():
    """Three replicates that are wild as a whole: a t interval of their mean would leave [0, 1]."""
    many = copies(annals(), isolated=0.0, ring=0.0)
    rng = np.random.default_rng(3)
    lives = {run: float(value) for run, value in enumerate((0, 1, 1))}
    values = many.plays["learning_run"].map(lives) * (many.plays["arm"] == "ring") + 0.01 * rng.random(len(many.plays))
    plays = many.plays.assign(**{"return": values.clip(0, 1)})
    wild = PopulationTables.of(**{**vars(many), "plays": plays, "ranges": {LIFE["task"]: (0.0, 1.0)}})
    found = analyse_population(wild, resampler())
    ends = found.rounds[["return_low", "return_high"]].to_numpy(float)
    assert np.nanmin(ends) >= 0
    assert np.nanmax(ends) <= 1
    reach = found.advantage[["low", "high"]].to_numpy(float)
    assert np.nanmin(reach) >= -1
    assert np.nanmax(reach) == 1.0
    effects = found.role_effects[found.role_effects["effect"].isin(["hub", "free_riding"])]
    assert not (effects["high"] > 2).any()
