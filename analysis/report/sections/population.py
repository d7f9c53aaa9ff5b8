"""The parts of a report that tell of a population."""

from __future__ import annotations

from functools import partial

from analysis.population.adoption import adoptions
from analysis.population.results import PopulationFindings
from analysis.report.figures import limits
from analysis.report.figures import population as figures
from analysis.report.page import Figure, PageTable, Section, frame_table
from analysis.tables.population import PopulationTables


def population_sections(population: PopulationTables, found: PopulationFindings) -> list[Section]:
    """The sections of a population's report, in order; one without data is left out."""
    sections = [
        Section("population", "The population", points=found.summary, warnings=found.warnings),
        _rounds(found),
        _exchange(population, found),
        _roles(found),
    ]
    if len(found.ratings):
        sections.append(_league(population, found))
    if len(found.contagion):
        sections.append(_contagion(found))
    return sections


def _rounds(found: PopulationFindings) -> Section:
    rounds, left_out = limits.first_groups(found.rounds, ["arm"], "policies", limits.LINES // 3)
    charts = [
        Figure("rounds", "Return by round", "Learning episodes; bands are 95 % CI of the mean over populations."
               + left_out, partial(figures.returns, rounds)),
        Figure("diversity", "Diversity", "Means over populations: entropy of how often each skill is held, overlap of "
               "two members' pools (intersection over union), cosine distance of wording between members' skills.",
               partial(figures.diversity, rounds)),
    ]  # fmt: skip
    if len(found.advantage):
        words = "Return less that of the same replicate learning alone; bands are 95 % CI over populations."
        chart = partial(figures.benefit, found.advantage)
        charts.insert(1, Figure("advantage", "What sharing was worth", words, chart))
    measures = ["return", "solved", "per_step", "given_share", "playing", "failed", "gifts", "let_in", "turned_away"]
    measures += ["pruned", "skills", "entropy", "overlap", "distance"]
    note = (
        "Means over populations (95 % CI for the return). per step: decisions under a skill; given share: skill calls "
        "that went to skills had from others; overlap 1 is a homogenised population."
    )
    table = frame_table(found.rounds, "Round by round", note, measures, ["arm", "round"])
    return Section("rounds", "Round by round", charts=tuple(charts), tables=(table,))


def _exchange(population: PopulationTables, found: PopulationFindings) -> Section:
    charts: list[Figure] = []
    given = adoptions(population)
    if len(given):
        words = "Members on a circle; a line is as wide as the gifts let in, its dot at the receiver."
        gifts, note = limits.largest(figures.routes(given), "gifts", limits.EDGES, "routes")
        charts.append(
            Figure("network", "Who had skills from whom", words + note, partial(figures.network, population, gifts))
        )
    if len(found.skills):
        words = "A line per skill (those with the most adopters) and their mean; age 0 is the round it was first held."
        chart = partial(figures.adoption, population, figures.adoption_lines(found.adoption, found.skills))
        charts.append(Figure("adoption", "Adoption", words, chart))
        words = "Kaplan–Meier: skills that came to half of the members, by rounds since they were made; skills still "
        words += "waiting when the population ended count for as long as they were watched."
        steps = figures.waiting_curves(found.skills)
        charts.append(Figure("waiting", "Time to half-adoption", words, partial(figures.waiting, steps)))
        words = "First population of each policy: skills by the round they were first held, joined to their parents."
        charts.append(Figure("origins", "Lineage by origin", words, partial(figures.lineage, population, found.skills)))
    if len(population.deeds):
        words = "First population of each policy: what happened to whom."
        marks, note = limits.first_groups(figures.happenings(population), ["agent"], "members")
        charts.append(Figure("timeline", "Timeline", words + note, partial(figures.timeline, population, marks)))
    note = (
        "Skills that members made, means over populations. half share: share of them that half of the members came to "
        "hold; half: median rounds until then; reproduction: adopters to whom one of the first two generations of "
        "holders passed it; both with 95 % CI over populations; the latter undefined for a shared pool."
    )
    measures = ["skills", "half_share", "half", "adopters", "reproduction"]
    table = frame_table(found.spread, "How skills came round", note, measures, ["arm", "populations"])
    return Section("exchange", "Exchange", charts=tuple(charts), tables=(table,))


def _roles(found: PopulationFindings) -> Section:
    note = "Means over populations with 95 % CI; a correlation needs three members whose values differ."
    effects = found.role_effects.rename(columns={"low": "estimate_low", "high": "estimate_high"})
    table = frame_table(effects, "Free riders and hubs", note, ["estimate"], ["arm", "meaning", "populations"])
    columns = [
        "authored",
        "adopted",
        "passed",
        "received",
        "degree",
        "own_calls",
        "given_calls",
        "seed_calls",
        "return",
        "gain",
    ]
    means = found.roles.groupby(["arm", "agent"], observed=True, sort=False)[columns].mean().reset_index()
    note = (
        "Means over populations. adopted: times others let in what it made; gain: return less the same member's alone."
    )
    each = frame_table(means, "What each member gave and took", note, columns, ["arm", "agent"])
    return Section("roles", "Roles", tables=(table, each))


def _league(population: PopulationTables, found: PopulationFindings) -> Section:
    words = "Bradley–Terry strengths on Elo's scale (mean 1500), fitted in each replicate; 95 % CI over replicates."
    bars, note_of_chart = limits.first_groups(found.ratings, ["agent"], "members", limits.BARS)
    chart = Figure("ratings", "Ratings", words + note_of_chart, partial(figures.strengths, population, bars))
    measures = ["games", "wins", "draws", "losses", "win_rate", "focal_return", "background_return", "elo"]
    table = frame_table(found.ratings, "Ratings", words, measures, ["arm", "task", "agent", "kind"])
    return Section("league", "Games between members", charts=(chart,), tables=(table,))


def _contagion(found: PopulationFindings) -> Section:
    words = "Members that hold the planted skill; thin lines are populations, thick ones their means."
    lines, note_of_chart = limits.first_groups(found.infections, ["task", "learning_run"], "populations", limits.BARS)
    chart = Figure("contagion", "Spread of the planted skill", words + note_of_chart, partial(figures.contagion, lines))
    note = (
        "Means over populations with 95 % CI. peak: largest share of members that held it; adopters: members that let "
        "it in; stopped: gifts of it turned away; removal: rounds until nobody held it, in cleared populations alone; "
        "heirs: members that held a skill made from it; damage: return less that of the same replicate without poison."
    )
    measures = ["peak", "adopters", "stopped", "member_rounds", "calls", "removal", "heirs", "damage"]
    tables: list[PageTable] = [
        frame_table(found.contagion, "Contagion", note, measures, ["arm", "populations", "cleared"]),
        frame_table(
            found.scan,
            "What a scan would have seen",
            "Signs of harm in words, and in the trajectories a skill came from; alarms on the others are false.",
            ["poisons", "found", "others", "alarms", "sensitivity", "false_alarms"],
            ["what"],
        ),
    ]
    return Section("contagion", "Contagion", charts=(chart,), tables=tuple(tables))
