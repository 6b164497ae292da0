"""The parts that every report has, against texts written by hand."""

from jaxact.report.markdown import command_line, document, environment_list, image


def test_a_document_has_one_blank_line_between_its_parts_and_no_gap_where_one_is_missing():
    assert document("# A", None, "b", "", "c") == "# A\n\nb\n\nc\n"


def test_the_command_and_an_image():
    assert command_line("python -m x --out y") == "Command: `python -m x --out y`"
    assert image("a.png", "what it shows") == "![what it shows](a.png)"


def test_the_environment_leaves_out_what_is_not_there_and_keeps_what_is_zero():
    facts = {
        "python": "3.12",
        "cores": 0,
        "xla_flags": "",
        "packages": {"jax": "0.8", "flax": None},
        "git_commit": None,
    }
    assert environment_list(facts) == "- python: 3.12\n- cores: 0\n- packages: jax 0.8"
