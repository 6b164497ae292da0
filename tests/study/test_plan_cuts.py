"""What of a preset a command line cuts, and what it changes otherwise."""

import pytest
from test_plan import plan_of


def test_a_preset_is_cut_by_name_and_keeps_the_rest():
    plan = plan_of("--preset", "paper", "--seeds", "2", "--configs", "*-sigmoid-relu", "--epochs", "10")
    assert plan.cut == {"seeds": "2", "configs": ["*-sigmoid-relu"]}
    assert {config.digest for config in plan.configs} < {config.digest for config in plan_of().configs}


@pytest.mark.parametrize(
    ("preset", "options", "cut", "changed"),
    [
        ("quick", ["--epochs", "20"], {}, {"epochs": 20}),
        ("quick", ["--epochs", "1"], {"epochs": 1}, {}),
        ("quick", ["--seeds", "1,2"], {"seeds": "1,2"}, {}),
        ("quick", ["--seeds", "7,8"], {}, {"seeds": "7,8"}),
        ("quick", ["--limit-train", "60000"], {}, {"limit_train": 60_000}),
        ("paper", ["--limit-train", "100", "--seeds", "10"], {"limit_train": 100}, {"seeds": "10"}),
        ("convergence", ["--configs", "relu-relu-relu"], {"configs": ["relu-relu-relu"]}, {}),
        ("convergence", ["--configs", "*-relu-relu"], {}, {"configs": ["*-relu-relu"]}),
        ("paper", ["--configs", "*-*-*"], {}, {"configs": ["*-*-*"]}),
    ],
)
def test_a_preset_is_cut_where_a_part_of_it_is_left_and_changed_otherwise(preset, options, cut, changed):
    plan = plan_of("--preset", preset, *options)
    assert (plan.cut, plan.changed) == (cut, changed)


@pytest.mark.parametrize("options", [("--widths", "500", "256", "10"), ("--layers", "3"), ("--momentum", "0.5")])
def test_an_option_that_says_what_the_preset_says_is_no_contradiction(options):
    plan = plan_of("--preset", "paper", *options)
    assert plan.configs == plan_of("--preset", "paper").configs and plan.cut == {}
