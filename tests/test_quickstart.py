"""The main job, on the first prototypes."""

import hashlib

import pandas as pd
import pytest

from matembed import build_corpus
from matembed.cli import main, parser
from matembed.quickstart import quickstart


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return quickstart(tmp_path_factory.mktemp("quickstart") / "run", limit=30, progress=False)


def test_report_is_one_page_with_its_pictures(finished):
    page = finished.read_text(encoding="utf-8")
    assert page.count('<img src="data:image/png;base64,') == 7
    assert "http" not in page
    assert "$" not in page.split("</style>")[1].split("<pre>")[0]  # every blank was filled in
    assert "told bond lengths and\nvolumes" in page  # of the pretrained vectors
    for row in ("one_hot_elements", "random_elements_", "pretrained_elements", "element_vectors", "dummy"):
        assert row in page


def test_everything_is_in_the_folder(finished):
    names = {path.name for path in finished.parent.iterdir()}
    assert names == {
        "corpus",
        "element-vectors",
        "motif-vectors",
        "figures",
        "report.html",
        "scores.csv",
        "config.json",
    }


def test_a_finished_folder_is_kept(finished):
    with pytest.raises(FileExistsError, match="overwrite"):
        quickstart(finished.parent, limit=30, progress=False)


def test_a_folder_of_something_else_is_kept(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    build_corpus(["NaCl"], tmp_path / "corpus", progress=False)
    before = digests(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="choose another path"):
            quickstart(tmp_path, limit=30, overwrite=overwrite)
    assert digests(tmp_path) == before


def test_the_commands_on_the_page_are_accepted(finished, monkeypatch, capsys):
    block = finished.read_text(encoding="utf-8").split("<pre>")[1].split("</pre>")[0]
    commands = [line.split("#")[0].split()[1:] for line in block.splitlines()]
    assert len(commands) == 4
    for words in commands:
        assert parser().parse_args(words).command is not None
    monkeypatch.chdir(finished.parent)
    assert main(commands[0]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 11


def test_scores_are_of_the_size_of_the_target(finished):
    mae = pd.read_csv(finished.parent / "scores.csv").groupby("features")["mae"].mean()
    assert mae.max() < 2 * mae["dummy"]


def test_an_interrupted_run_goes_on_to_the_same_bytes(finished):
    folder = finished.parent
    before = digests(folder)
    finished.unlink()
    assert quickstart(folder, limit=30, progress=False) == finished
    assert digests(folder) == before
