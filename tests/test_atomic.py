"""Files and folders that appear whole or not at all."""

import hashlib

import pytest

from matembed._atomic import sha256_of, whole_file, whole_folder


def names(folder):
    return sorted(found.name for found in folder.iterdir())


def test_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
        assert partial.parent == path.parent  # the same disk, so that renaming is one step
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_failed_file_leaves_what_was_there(failure, tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(failure), whole_file(path) as partial:
        partial.write_text("half")
        raise failure
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_file_is_replaced(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with whole_file(path) as partial:
        partial.write_text("new")
    assert path.read_text() == "new"


def test_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "deep" / "folder"
    with whole_folder(path, kind="Corpus") as partial:
        (partial / "a").write_text("1")
        assert not path.exists()
        assert partial.parent == path.parent
    assert names(path) == ["a"]
    assert names(path.parent) == ["folder"]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [False, True])
def test_failed_folder_leaves_what_was_there(failure, there, tmp_path):
    path = tmp_path / "folder"
    if there:
        path.mkdir()
        (path / "config.json").write_text('{"type": "Corpus"}')
    with pytest.raises(failure), whole_folder(path, kind="Corpus", overwrite=True) as partial:
        (partial / "half").touch()
        raise failure
    assert names(tmp_path) == (["folder"] if there else [])
    assert not there or names(path) == ["config.json"]


def test_folder_is_replaced_whole_and_only_when_asked(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "config.json").write_text('{"type": "Corpus"}')
    with pytest.raises(FileExistsError, match="overwrite=True"), whole_folder(path, kind="Corpus"):
        pytest.fail("the block must not run")
    with whole_folder(path, kind="Corpus", overwrite=True) as partial:
        (partial / "new").touch()
        assert names(path) == ["config.json"]
    assert names(path) == ["new"]
    assert names(tmp_path) == ["folder"]


@pytest.mark.parametrize("config", [None, "{", "[]", '{"type": "EmbeddingTable"}'])
def test_nothing_but_a_folder_of_the_same_kind_is_replaced(tmp_path, config):
    path = tmp_path / "thesis"
    path.mkdir()
    (path / "thesis.tex").write_text("years of work")
    if config is not None:
        (path / "config.json").write_text(config)
    with pytest.raises(FileExistsError, match="other than Corpus"), whole_folder(path, kind="Corpus", overwrite=True):
        pytest.fail("the block must not run")
    assert (path / "thesis.tex").read_text() == "years of work"


def test_a_link_is_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.mkdir()
    (target / "config.json").write_text('{"type": "Corpus"}')
    link.symlink_to(target)
    with whole_folder(link, kind="Corpus", overwrite=True) as partial:
        (partial / "new").touch()
    assert link.is_symlink()
    assert names(target) == ["new"]
    assert names(tmp_path) == ["link", "target"]


def test_an_empty_folder_is_no_obstacle_and_a_file_is(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    with whole_folder(path, kind="Corpus") as partial:
        (partial / "new").touch()
    assert names(path) == ["new"]
    file = tmp_path / "file"
    file.write_text("text")
    with pytest.raises(FileExistsError), whole_folder(file, kind="Corpus"):
        pytest.fail("the block must not run")
    with pytest.raises(FileExistsError, match="other than"), whole_folder(file, kind="Corpus", overwrite=True):
        pytest.fail("the block must not run")
    assert file.read_text() == "text"


def test_sha256_is_that_of_hashlib(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"matter" * 100_000)
    assert sha256_of(path) == hashlib.sha256(b"matter" * 100_000).hexdigest()
