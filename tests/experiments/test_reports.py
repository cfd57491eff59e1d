"""Facts of a run, as reports and commands write them."""

from lexpand.experiments.reports import flat_facts


def test_facts_are_written_for_people() -> None:
    facts = {
        "cost": {"p50": 1234.5, "flops": None, "counts": list(range(20))},
        "evaluation": {"missing": [], "tied": ["q1", "q2"]},
        "cached": True,
        "toml": 'a = 1\n\n[[parts]]\nfield = "x"\n',
    }
    assert flat_facts(facts) == [
        ("cost p50", "1,234"),
        ("cost flops", "none"),
        ("cost counts", "20 values"),
        ("evaluation missing", "none"),
        ("evaluation tied", "q1, q2"),
        ("cached", "yes"),
        ("toml", 'a = 1; [[parts]]; field = "x"'),
    ]
