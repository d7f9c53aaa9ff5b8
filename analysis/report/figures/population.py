"""Charts of a population study, each a function of one frame. Text in them is data and is never interpreted."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd
from scipy import stats

from analysis.population.adoption import COMMONS
from analysis.report.figures.limits import ROWS
from analysis.report.figures.matrix import LABEL, PALETTE, WIDTH, Chart, small_multiples
from analysis.tables.population import LIFE, PopulationTables

MOST_SKILLS = 40
"""Skills that a lineage or a set of adoption curves shows: those with the most adopters."""
KINDS = {"admitted": "let in", "pruned": "pruned", "planted": "poison planted", "lost": "model lost"}
EVENTS = {
    "made": "#009E73",
    "let in": "#0072B2",
    "pruned": "#999999",
    "poison planted": "#D55E00",
    "model lost": "#000000",
}
SMALL = 260


def returns(rounds: pd.DataFrame) -> Chart:
    """Mean return by round with its interval, a line per policy."""
    return _small(rounds, ("return", "return_low", "return_high"), "return")


def benefit(advantage: pd.DataFrame) -> Chart:
    """What each policy earned more than learning alone, by round, with its interval."""
    return _small(advantage, ("difference", "low", "high"), "return more than alone")


def diversity(rounds: pd.DataFrame) -> Chart:
    """Entropy, overlap and distance of the pools by round, a line per policy."""
    names = {"entropy": "entropy (bits)", "overlap": "overlap of pools", "distance": "cosine distance"}
    long = rounds.melt(["arm", "round"], list(names), "measure", "value").replace({"measure": names})
    base = (
        alt.Chart(long)
        .mark_line(point=True)
        .encode(
            x=alt.X("round:O"),
            y=alt.Y("value:Q", title=None),
            color=_policy(rounds),
            tooltip=["arm:N", "measure:N", "round:O", alt.Tooltip("value:Q", format=".3f")],
        )
    )
    chart = base.properties(width=SMALL, height=150)
    return chart.facet(column=alt.Column("measure:N", title=None)).resolve_scale(y="independent")


def adoption_lines(curves: pd.DataFrame, skills: pd.DataFrame) -> pd.DataFrame:
    """Curves of each policy's skills with the most adopters, as many as one chart holds."""
    longest = int(curves.groupby([*LIFE, "unit"], observed=True).size().max())
    lines = max(1, ROWS // max(1, longest * skills["arm"].nunique()))
    return curves.merge(_foremost(skills, min(MOST_SKILLS, lines)), on=[*LIFE, "unit"])


def adoption(population: PopulationTables, frame: pd.DataFrame) -> Chart:
    """Share of the members that hold a skill, by rounds since it was made; a line per skill, the mean in grey.

    `frame`: of `adoption_lines`.
    """
    frame = frame.assign(skill=frame["unit"] + " " + frame["arm"] + frame["learning_run"].astype(str))
    lines = (
        alt.Chart(frame)
        .mark_line(opacity=0.35, strokeWidth=1)
        .encode(
            x=alt.X("age:Q", title="rounds since it was made", axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("share:Q", title="members that hold it", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%")),
            detail="skill:N",
            color=alt.Color("author:N", title="made by", scale=alt.Scale(scheme="tableau20"), legend=None),
            tooltip=[
                "name:N",
                "unit:N",
                "author:N",
                "age:Q",
                alt.Tooltip("share:Q", format=".0%"),
                "users:Q",
                "foreign:Q",
            ],
        )
    )
    mean = alt.Chart(frame).mark_line(color="#777777", strokeWidth=3).encode(x="age:Q", y="mean(share):Q")
    layered = alt.layer(lines, mean, data=frame).properties(width=SMALL, height=150)
    return layered.facet(facet=_arm_facet(population), columns=2)


def waiting_curves(skills: pd.DataFrame) -> pd.DataFrame:
    """Kaplan–Meier estimate of when half of the members hold a skill, by policy; what was made late is censored, not
    held against them.

    Columns: arm, rounds (since it was made), share (came to half of the members by then), at_risk (skills still
    watched and waiting). Planted skills are left out.
    """
    honest = skills[skills["poison"].isna()]
    rows: list[dict[str, object]] = []
    for arm, part in honest.groupby("arm", observed=True, sort=False):
        times, reached = part["half"].fillna(part["watched"]), part["half"].notna()
        rows.append({"arm": arm, "rounds": 0.0, "share": 0.0, "at_risk": len(part)})
        if not reached.any():
            rows.append({"arm": arm, "rounds": float(times.max()), "share": 0.0, "at_risk": 0})
            continue
        censored = stats.CensoredData(uncensored=times[reached].to_numpy(), right=times[~reached].to_numpy())
        left = stats.ecdf(censored).sf
        for time, share in zip(left.quantiles.tolist(), left.probabilities.tolist(), strict=True):
            rows.append({"arm": arm, "rounds": time, "share": 1 - share, "at_risk": int((times >= time).sum())})
    return pd.DataFrame(rows, columns=["arm", "rounds", "share", "at_risk"])


def waiting(curves: pd.DataFrame) -> Chart:
    """Share of the skills that half of the members hold, by rounds since they were made; `curves`: `waiting_curves`."""
    tips = ["arm:N", "rounds:Q", alt.Tooltip("share:Q", format=".0%"), alt.Tooltip("at_risk:Q", title="still watched")]
    chart = alt.Chart(curves).mark_line(interpolate="step-after").encode(
        x=alt.X("rounds:Q", title="rounds since it was made", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("share:Q", title="came to half of the members", scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%")),
        color=_policy(curves),
        tooltip=tips,
    )  # fmt: skip
    return chart.properties(width=WIDTH, height=220)


def routes(given: pd.DataFrame) -> pd.DataFrame:
    """Gifts let in, counted by policy, giver and receiver."""
    return given.groupby(["arm", "giver", "agent"], observed=True).size().rename("gifts").reset_index()


def network(population: PopulationTables, gifts: pd.DataFrame) -> Chart:
    """Who had skills from whom: members on a circle, lines as wide as the gifts let in, a panel per policy.

    `gifts`: of `routes`.
    """
    base = alt.Chart(pd.concat(_graph(population, gifts), ignore_index=True))
    edges, nodes = (base.transform_filter(alt.datum.part == part) for part in ("edge", "node"))
    plane = alt.Scale(domain=[-1.3, 1.3])
    width = alt.StrokeWidth("gifts:Q", title="gifts let in", scale=alt.Scale(range=[0.5, 4]))
    fields = ["giver:N", "agent:N", "gifts:Q"]
    lines = edges.mark_rule(opacity=0.45, color="#0072B2").encode(
        x=alt.X("from_x:Q", scale=plane, axis=None),
        y=alt.Y("from_y:Q", scale=plane, axis=None),
        x2="x:Q",
        y2="y:Q",
        strokeWidth=width,
        tooltip=fields,
    )
    heads = edges.mark_point(size=14, filled=True, color="#0072B2").encode(x="head_x:Q", y="head_y:Q", tooltip=fields)
    size = alt.Size("sent:Q", title="gifts sent", scale=alt.Scale(range=[60, 400]))
    dots = nodes.mark_circle(color="#E69F00", opacity=1).encode(
        x="x:Q", y="y:Q", size=size, tooltip=["agent:N", "sent:Q"]
    )
    words = nodes.mark_text(dy=-14, fontSize=10).encode(x="x:Q", y="y:Q", text="agent:N")
    panel = alt.layer(lines, heads, dots, words).properties(width=SMALL, height=SMALL)
    return panel.facet(facet=_arm_facet(population), columns=2)


def _graph(population: PopulationTables, gifts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Edges and nodes with their places: members on a circle, a shared pool in its middle."""
    names = list(population.members["agent"])
    angles = 2 * np.pi * np.arange(len(names)) / len(names)
    places = pd.DataFrame({"agent": [*names, COMMONS], "x": [*np.cos(angles), 0.0], "y": [*np.sin(angles), 0.0]})
    edges = gifts.merge(places, on="agent").merge(places.add_prefix("from_"), left_on="giver", right_on="from_agent")
    edges = edges.assign(part="edge")
    for axis in ("x", "y"):  # a dot near the receiver shows the way
        edges[f"head_{axis}"] = 0.12 * edges[f"from_{axis}"] + 0.88 * edges[axis]
    sent = edges.groupby(["arm", "giver"], observed=True)["gifts"].sum().rename_axis(["arm", "agent"]).rename("sent")
    nodes = edges[["arm"]].drop_duplicates().merge(places, how="cross").join(sent, on=["arm", "agent"])
    shared = set(edges.loc[edges["agent"] == COMMONS, "arm"])
    nodes = nodes[(nodes["agent"] != COMMONS) | nodes["arm"].isin(shared)]
    return edges, nodes.assign(part="node", sent=nodes["sent"].fillna(0))


def happenings(population: PopulationTables) -> pd.DataFrame:
    """What happened to whom in which round, counted, in each policy's first population."""
    frame = _first_lives(population.deeds[population.deeds["kind"].isin(set(KINDS))])
    frame = frame.assign(
        event=frame["kind"].map(KINDS).mask((frame["kind"] == "admitted") & frame["giver"].isna(), "made")
    )
    counted = frame.groupby(["agent", "arm", "round", "event"], observed=True).size().rename("times").reset_index()
    places = {agent: place for place, agent in enumerate(population.members["agent"])}
    return counted.sort_values("agent", key=lambda agents: agents.map(places), kind="stable", ignore_index=True)


def timeline(population: PopulationTables, frame: pd.DataFrame) -> Chart:
    """A mark for whatever happened to a member in a round; `frame`: of `happenings`."""
    order = list(EVENTS)
    colours = alt.Scale(domain=order, range=list(EVENTS.values()))
    marks = alt.Chart(frame).mark_point(filled=True, opacity=0.9).encode(
        x=alt.X("round:O"),
        xOffset=alt.XOffset("event:N", sort=order),
        y=alt.Y("agent:N", sort=list(population.members["agent"]), axis=LABEL),
        color=alt.Color("event:N", sort=order, scale=colours),
        shape=alt.Shape("event:N", sort=order),
        size=alt.Size("times:Q", scale=alt.Scale(range=[25, 160])),
        tooltip=["agent:N", "round:O", "event:N", "times:Q"],
    )  # fmt: skip
    panel = marks.properties(width=alt.Step(26), height=alt.Step(20))
    return panel.facet(facet=_arm_facet(population), columns=2)


def lineage(population: PopulationTables, skills: pd.DataFrame) -> Chart:
    """Skills by the round they were first held, joined to their parents, coloured by who made them."""
    frame = _first_lives(skills).nlargest(MOST_SKILLS * 2, ["adopters", "rounds"])
    frame = frame.merge(population.skills[[*LIFE, "unit", "parents"]], on=[*LIFE, "unit"])
    frame = frame.sort_values(["arm", "author", "born"], ignore_index=True)
    frame["row"] = frame.groupby("arm", observed=True).cumcount()
    frame["kind"] = np.where(frame["poison"].notna(), "poison", "skill")
    place = frame[["arm", "unit", "born", "row"]]
    links = frame.assign(parent=frame["parents"].str.split()).explode("parent")
    links = links.merge(
        place.rename(columns={"unit": "parent", "born": "from_born", "row": "from_row"}), on=["arm", "parent"]
    )
    everything = pd.concat([links.assign(part="link"), frame.assign(part="skill")], ignore_index=True)
    keep = [
        "arm",
        "part",
        "unit",
        "name",
        "author",
        "born",
        "row",
        "from_born",
        "from_row",
        "adopters",
        "rounds",
        "kind",
    ]
    base = alt.Chart(everything[keep])
    time = alt.X("born:Q", title="round in which it was first held", axis=alt.Axis(tickMinStep=1))
    height = alt.Y("row:Q", axis=None)
    members = list(population.members["agent"])
    lines = base.transform_filter(alt.datum.part == "link").mark_rule(opacity=0.5, color="#999999").encode(
        x=alt.X("from_born:Q"), y=alt.Y("from_row:Q", axis=None), x2="born:Q", y2="row:Q"
    )  # fmt: skip
    dots = base.transform_filter(alt.datum.part == "skill").mark_point(filled=True, opacity=0.95).encode(
        x=time, y=height,
        color=alt.Color("author:N", title="made by", sort=members, scale=alt.Scale(range=PALETTE)),
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=["skill", "poison"], range=["circle", "triangle-up"])),
        size=alt.Size("adopters:Q", scale=alt.Scale(range=[40, 260])),
        tooltip=["name:N", "unit:N", "author:N", "born:Q", "adopters:Q", "rounds:Q", "kind:N"],
    )  # fmt: skip
    panel = alt.layer(lines, dots).properties(width=SMALL, height=220)
    return panel.facet(facet=_arm_facet(population), columns=2)


def contagion(infections: pd.DataFrame) -> Chart:
    """Members that hold the planted skill, by rounds since the planting: a line per population, their mean thick."""
    frame = infections.assign(population=infections["task"] + " " + infections["learning_run"].astype(str))
    x = alt.X("since:Q", title="rounds since the planting", axis=alt.Axis(tickMinStep=1))
    y = alt.Y("share:Q", title="members that hold it", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    tips = ["arm:N", "population:N", "round:Q", alt.Tooltip("share:Q", format=".0%"), "users:Q", "heirs:Q"]
    colour = _policy(frame)
    thin = alt.Chart(frame).mark_line(opacity=0.3, strokeWidth=1).encode(
        x=x, y=y, color=colour, detail="population:N", tooltip=tips
    )  # fmt: skip
    thick = alt.Chart(frame).mark_line(strokeWidth=3, point=True).encode(x=x, y="mean(share):Q", color=colour)
    return alt.layer(thick, thin).properties(width=WIDTH, height=220)


def strengths(population: PopulationTables, ratings: pd.DataFrame) -> Chart:
    """Elo of every member with its interval, a panel per policy."""
    base = alt.Chart(ratings).encode(y=alt.Y("agent:N", sort="-x", axis=LABEL))
    lines = base.mark_rule(strokeWidth=2).encode(x=alt.X("elo_low:Q", title="Elo (95 % CI)"), x2="elo_high:Q")
    tips = ["agent:N", "kind:N", "games:Q", alt.Tooltip("win_rate:Q", format=".2f"), alt.Tooltip("elo:Q", format=".0f")]
    points = base.mark_point(filled=True, size=70).encode(
        x=alt.X("elo:Q", scale=alt.Scale(zero=False)),
        color=alt.Color("kind:N", title="agent", scale=alt.Scale(range=PALETTE)),
        tooltip=tips,
    )
    panel = alt.layer(lines, points).properties(width=SMALL, height=alt.Step(18))
    return panel.facet(facet=_arm_facet(population), columns=2)


def _small(frame: pd.DataFrame, names: tuple[str, str, str], title: str) -> Chart:
    """A small chart over rounds for each policy."""
    tips = ["arm:N", "round:Q", *(alt.Tooltip(f"{name}:Q", format=".3f") for name in names), "n:Q"]
    base = alt.Chart(frame).encode(x=alt.X("round:Q", axis=alt.Axis(tickMinStep=1, tickCount=4)), tooltip=tips)
    return small_multiples(base, "arm", names, title)


def _policy(frame: pd.DataFrame) -> alt.Color:
    order = list(dict.fromkeys(frame["arm"]))
    return alt.Color("arm:N", title="policy", sort=order, scale=alt.Scale(domain=order, range=PALETTE))


def _arm_facet(population: PopulationTables) -> alt.Facet:
    return alt.Facet("arm:N", title=None, sort=population.arms)


def _foremost(skills: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of each policy the skills with the most adopters, the longest held among equals."""
    ranked = skills.sort_values(["adopters", "rounds"], ascending=False, kind="stable")
    best = ranked.groupby("arm", observed=True).head(most)
    return best[[*LIFE, "unit", "name", "author"]]


def _first_lives(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each policy's first population (first task, first run)."""
    first = frame[["task", "learning_run"]].drop_duplicates().head(1)
    return frame.merge(first, on=["task", "learning_run"])
