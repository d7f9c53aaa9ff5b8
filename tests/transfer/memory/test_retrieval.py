"""Episodes as a memory to retrieve from."""

from tests.support.fake_evolver import trajectory
from transfer.memory.controls import LONGEST, episodes_as_pool


def test_every_episode_is_one_unit_with_its_moves_and_score():
    won, lost = trajectory("won", [("[a]", 0.5), ("[b]", 0.5)], None), trajectory("lost", [("[b]", 0.0)], None)
    units = {unit.name: unit for unit in episodes_as_pool([won, lost, won]).skills}
    assert set(units) == {"An earlier game that scored 0", "An earlier game that scored 1"}
    first = units["An earlier game that scored 1"]
    assert first.activation == "Round 0."
    assert first.procedure.startswith("Seen: Round 0.\nMove: [a]\nSeen: Round 1.\nMove: [b]\nEnd: ")


def test_a_long_episode_keeps_its_end():
    long = trajectory("long", [("[a]", 0.0)] * 9, None)
    steps = tuple(step.model_copy(update={"observation": "x" * 3000}) for step in long.steps)
    (unit,) = episodes_as_pool([long.model_copy(update={"steps": steps, "reason": "lost"})]).skills
    assert len(unit.procedure) == LONGEST
    assert unit.procedure.endswith("End: lost")
