"""Where finished episodes stand: on disk, so that memory stays flat."""

from __future__ import annotations

import pytest

from testbed.play.places import Places


def test_places_are_kept_and_replaced():
    places = Places()
    places["a"] = 3
    places["b"] = 2**40
    places["a"] = 7
    assert (places["a"], places["b"], places.get("c"), len(places)) == (7, 2**40, None, 2)
    with pytest.raises(KeyError, match="c"):
        places["c"]
